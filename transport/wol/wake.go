package wol

import (
	"fmt"
	"time"
)

// wake is a machine that was woken, and has not answered since.
type wake struct {
	at      time.Time // of the first packet
	packets int
	next    time.Time // when another may be sent
	runs    bool      // it was seen to run: it is never sent another
}

// Another packet is sent after firstRepeat, and then after twice as long each
// time, up to lastRepeat: a card that missed the first for a busy network hears
// one of the next, and a machine that stays dark costs a packet a minute.
const (
	firstRepeat = 2 * time.Second
	lastRepeat  = time.Minute
)

func begin(now time.Time) *wake {
	return &wake{at: now, packets: 1, next: now.Add(firstRepeat)}
}

// repeat reports whether another packet is due, and counts it as sent.
func (w *wake) repeat(now time.Time) bool {
	if w.runs || now.Before(w.next) {
		return false
	}
	wait := lastRepeat
	if w.packets < 5 { // 2, 4, 8, 16, 32 s
		wait = firstRepeat << w.packets
	}
	w.packets++
	w.next = now.Add(wait)
	return true
}

// String says what was done, for a status message.
func (w *wake) String() string {
	return fmt.Sprintf("woken at %s by %d magic packets", w.at.UTC().Format(time.TimeOnly+" UTC"), w.packets)
}
