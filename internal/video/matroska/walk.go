package matroska

import (
	"context"
	"errors"
	"time"

	"tutela"
	"tutela/internal/video/track"
)

// Keys hands over the key frames.
func (m *Movie) Keys(ctx context.Context, picker *track.Picker, take func(track.Key) error) error {
	w := &walk{Movie: m, ctx: ctx, picker: picker, take: take}
	m.looked = 0
	err := w.byCues()
	if err == nil && !m.told.Indexed {
		m.looked = 0
		err = w.clusters()
	}
	if err == errLimit {
		m.notes.Add(tutela.FindingLimit, "only the first %d elements were looked at", mostElements)
		return nil
	}
	return err
}

// walk goes through the frames of a track.
type walk struct {
	*Movie
	ctx    context.Context
	picker *track.Picker
	take   func(track.Key) error

	any  bool          // a frame was delivered
	last time.Duration // when it is shown
	past bool          // what is not later than last was delivered before
}

// byCues goes where the cues lead. Indexed says afterwards whether they led
// through all of the file; where they lead astray the clusters are gone through.
func (w *walk) byCues() error {
	if w.cues.end == 0 {
		return nil
	}
	points := 0
	w.told.Indexed = true
	err := w.elements(w.cues.body, w.cues.end, func(e element) error {
		if e.id != idPoint {
			if isTop(e.id) {
				return errEnough
			}
			return nil
		}
		ours, err := w.point(e)
		if ours {
			points++
		}
		return err
	})
	if points == 0 || err == errAstray {
		w.told.Indexed, w.past = false, w.any
	}
	if err == errAstray {
		w.notes.Add(tutela.FindingDamaged, "the cues lead astray; all clusters were gone through")
		return nil
	}
	return err
}

var errAstray = errors.New("the cues lead astray")

// point follows a cue of our track, if its frame is wanted.
func (w *walk) point(e element) (ours bool, err error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	var at, of, place uint64
	err = w.elements(e.body, e.end, func(e element) (err error) {
		switch e.id {
		case idCueTime:
			at, err = w.count(e)
		case idPositions:
			if ours {
				return nil
			}
			return w.elements(e.body, e.end, func(e element) (err error) {
				switch e.id {
				case idCueTrack:
					of, err = w.count(e)
					ours = of == w.number
				case idCueCluster:
					if ours || of == 0 {
						place, err = w.count(e)
					}
				}
				return err
			})
		}
		return err
	})
	if err != nil || !ours || !w.picker.Wants(w.ticks(float64(at))) {
		return ours, err
	}
	return ours, w.follow(int64(at), place)
}

// follow looks in a cluster for the key frame of a time.
func (w *walk) follow(at int64, place uint64) error {
	if place > uint64(w.size) || w.segment.body+int64(place) >= w.segment.end {
		return errAstray
	}
	e, err := w.element(w.segment.body+int64(place), w.segment.end)
	if passOver(err) != nil {
		return err
	}
	if err != nil || e.id != idCluster {
		return errAstray
	}
	found := false
	_, err = w.inCluster(e, func(b block) error {
		if !b.key || b.at < at {
			return nil
		}
		found = b.at == at
		if !found {
			return errEnough
		}
		if err := w.frames(b); err != nil {
			return err
		}
		return errEnough
	})
	if err == nil && !found {
		return errAstray
	}
	return err
}

// clusters goes through all of them.
func (w *walk) clusters() error {
	if w.cluster == 0 {
		return nil
	}
	start := w.segment.body
	for start < w.segment.end {
		next := int64(0)
		err := w.elements(start, w.segment.end, func(e element) error {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if e.id != idCluster {
				return nil
			}
			end, err := w.inCluster(e, w.block)
			if e.unknown {
				next = end
			}
			return err
		})
		if err != nil || next <= start {
			return err
		}
		start = next
	}
	return nil
}
