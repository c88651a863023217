package hook

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestBlockedLane: a block is reported once after a minute, and its end once, through
// restarts. A new engine run does not know the block before its first call, and reports
// no recovery.
func TestBlockedLane(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, h := &fake{}, Hook{Name: "chat"}
		both := func() (end func()) {
			hooks, eng := b.goHooks(map[string]*fake{"chat": f}, h), b.goEngine()
			return func() { eng(); hooks() }
		}
		end := both()
		b.studio.SetOffline(true)
		b.start("ws-1")
		b.after(50 * time.Second)
		f.want(b.T)
		b.after(15 * time.Second)
		got := f.want(b.T, "blocked lab")
		if len(got) == 1 && (!strings.HasPrefix(got[0].Text, "lane lab is blocked since 2000-01-01T00:00:0") || !strings.Contains(got[0].Text, ": its provider cannot be reached: ") ||
			got[0].Lane.Reason != "offline" || got[0].Lane.Error == "") {
			t.Errorf("%+v %+v", got[0], got[0].Lane)
		}
		b.after(time.Hour)
		for range 3 {
			end()
			b.after(time.Hour)
			b.restart()
			end = both()
			b.after(time.Hour)
		}
		f.want(b.T)
		b.studio.SetOffline(false)
		b.after(20 * time.Minute)
		got = f.want(b.T, "unblocked lab")
		if len(got) == 1 && !strings.Contains(got[0].Text, "lane lab is no longer blocked") {
			t.Errorf("%q", got[0].Text)
		}
		end()
		b.restart()
		end = both()
		b.after(time.Hour)
		f.want(b.T)
		b.studio.SetOffline(true) // another block is reported again
		b.start("ws-2")
		b.after(10 * time.Minute)
		f.want(b.T, "blocked lab")
		end()
	})
}

// TestShortBlock: a block that is over before BlockedAfter is not reported. Nor is one
// whose alert could not be delivered while it lasted.
func TestShortBlock(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		refuse := true
		slow, bad := &fake{}, &fake{answer: func(message) error {
			if refuse {
				return errRefused
			}
			return nil
		}}
		hooks := b.goHooks(map[string]*fake{"slow": slow, "bad": bad}, Hook{Name: "slow", BlockedAfter: time.Hour}, Hook{Name: "bad"})
		eng := b.goEngine()
		b.studio.SetOffline(true)
		b.start("ws-1")
		b.after(30 * time.Minute)
		if len(bad.tries) < 5 {
			t.Errorf("%d tries", len(bad.tries))
		}
		b.studio.SetOffline(false)
		b.after(10 * time.Minute) // longer than a trial call may be put off
		refuse = false
		b.after(2 * time.Hour)
		slow.want(b.T)
		bad.want(b.T)
		eng()
		hooks()
	})
}

// TestAlertPassesPoison: the alert of a lane does not wait behind an end that fails.
func TestAlertPassesPoison(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f := &fake{answer: func(m message) error {
			if m.Event != nil {
				return errRefused
			}
			return nil
		}}
		hooks := b.goHooks(map[string]*fake{"chat": f}, Hook{Name: "chat", On: []Topic{TopicCanceled, TopicBlocked}})
		eng := b.goEngine()
		b.cancel("poison")
		b.after(time.Hour)
		b.studio.SetOffline(true)
		b.start("ws-1")
		b.after(20 * time.Minute)
		f.want(b.T, "blocked lab")
		eng()
		hooks()
	})
}

// TestManyBlockedLanes: more lanes than one record could name are reported once each,
// through a restart.
func TestManyBlockedLanes(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		const lanes = 100
		f, h := &fake{}, Hook{Name: "chat", On: []Topic{TopicBlocked}}
		hooks, eng := b.goHooks(map[string]*fake{"chat": f}, h), b.goEngine()
		b.studio.SetOffline(true)
		var blocked, unblocked []string
		for i := range lanes {
			lane := fmt.Sprintf("a-studio-with-a-long-name-%03d", i)
			b.ask(engine.Request{Ref: engine.Ref{StudioID: lane, SessionID: "ws-1"}})
			blocked, unblocked = append(blocked, "blocked "+lane), append(unblocked, "unblocked "+lane)
		}
		b.after(10 * time.Minute)
		f.want(b.T, blocked...)
		eng()
		hooks()
		b.restart()
		hooks, eng = b.goHooks(map[string]*fake{"chat": f}, h), b.goEngine()
		b.after(5 * time.Minute)
		f.want(b.T)
		b.studio.SetOffline(false)
		b.after(10 * time.Minute)
		got := map[string]int{}
		for _, m := range f.got {
			got[m.String()]++
		}
		for _, want := range unblocked {
			if got[want] != 1 {
				t.Errorf("%s was delivered %d times", want, got[want])
			}
		}
		eng()
		hooks()
		left, err := b.db.Records(b.Context(), alertKind)
		if err != nil || len(left) != 0 {
			t.Errorf("%d records of alerts are left, %v", len(left), err)
		}
	})
}

// TestNewHookMeetsABlock: a hook that is added while a lane is blocked reports the block,
// unless it does not want blocks.
func TestNewHookMeetsABlock(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		eng := b.goEngine()
		b.studio.SetOffline(true)
		b.start("ws-1")
		b.after(time.Hour)
		f, none := &fake{}, &fake{}
		hooks := b.goHooks(map[string]*fake{"chat": f, "none": none}, Hook{Name: "chat", On: []Topic{TopicBlocked}}, Hook{Name: "none", On: []Topic{TopicFailed}})
		b.after(time.Second)
		f.want(b.T, "blocked lab")
		none.want(b.T)
		eng()
		hooks()
	})
}
