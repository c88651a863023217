package format

// LaneBody is the CBOR of a lane. The numbers are on disk: append only.
type LaneBody struct {
	Paused          bool   `cbor:"1,keyasint,omitempty"`
	PausedBy        string `cbor:"2,keyasint,omitempty"`
	PausedAt        int64  `cbor:"3,keyasint,omitempty"`
	RetryAfter      int64  `cbor:"4,keyasint,omitempty"`
	RetryAfterHeard int64  `cbor:"5,keyasint,omitempty"`
	Blocked         string `cbor:"6,keyasint,omitempty"` // the reason; absent: the lane is not blocked
	BlockedSince    int64  `cbor:"7,keyasint,omitempty"`
	BlockError      string `cbor:"8,keyasint,omitempty"`
	BlockKind       uint8  `cbor:"9,keyasint,omitempty"`
	BlockAt         int64  `cbor:"10,keyasint,omitempty"`
	Pace            int    `cbor:"11,keyasint,omitempty"`
	ThrottledAt     int64  `cbor:"12,keyasint,omitempty"`
}

func DecodeLane(key, sealed []byte) (LaneBody, error) {
	var l LaneBody
	text, ok := Unseal(key, sealed)
	if !ok {
		return l, &CorruptError{Bucket: BucketLanes, Key: string(key), Detail: "wrong checksum"}
	}
	if err := Decoder.Unmarshal(text, &l); err != nil {
		return LaneBody{}, &CorruptError{Bucket: BucketLanes, Key: string(key), Detail: err.Error()}
	}
	return l, nil
}
