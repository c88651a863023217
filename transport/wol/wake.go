package wol

import (
	"fmt"
	"time"
)

// wake records that a machine was woken and has not answered since.
type wake struct {
	at      time.Time // when the first packet was sent
	packets int       // how many were sent
	next    time.Time // when another one may be sent
	runs    bool      // the machine was seen running, so it gets no more packets
}

// Another packet is sent after firstRepeat, and then each time after twice as long, up to
// lastRepeat. A card that missed the first packet on a busy network gets a later one. A
// machine that stays off costs a packet a minute.
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

// String returns what was sent, for a status message.
func (w *wake) String() string {
	return fmt.Sprintf("woken at %s by %d magic packets", w.at.UTC().Format(time.TimeOnly+" UTC"), w.packets)
}
