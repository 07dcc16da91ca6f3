package main

import "time"

// deadline ends an evaluation. It is asked by whoever evaluates: there is one thread, in which no timer comes to its turn before
// the evaluation is over.
type deadline struct {
	length    time.Duration
	end       time.Time
	asked     int
	cancelled bool
}

// The clock is looked at once in so many times.
const askedBetween = 256

func newDeadline(after time.Duration) *deadline {
	return &deadline{length: after, end: time.Now().Add(after)}
}

func (limit *deadline) Cancel() { limit.cancelled = true }

func (limit *deadline) Cancelled() bool {
	if limit.asked++; !limit.cancelled && limit.asked%askedBetween == 0 {
		limit.cancelled = time.Now().After(limit.end)
	}
	return limit.cancelled
}

func (asked request) timeout(usual time.Duration) time.Duration {
	if asked.TimeoutMs > 0 {
		return time.Duration(asked.TimeoutMs) * time.Millisecond
	}
	return usual
}
