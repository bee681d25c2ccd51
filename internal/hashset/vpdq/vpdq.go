// Package vpdq reads the frames of one known video: a line of text a frame,
//
//	frame number,quality,PDQ hash in 64 hexadecimal digits,seconds
//
// as the vPDQ programs of ThreatExchange write them. A file is a video.
//
// Call [NewReader]; it gives one assertion, which holds the frames in their
// order. Promised: a line that is not of this form is an error with its number,
// and [Reader.Poor] counts the frames that were left out because their quality is
// below what can be matched. Not promised: that frames are told once; those that
// look the same are all kept, because shares of a video are counted by them.
package vpdq

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"
	"tutela/internal/pdq"
)

// MaxFrames bounds the frames of one video: one a second for a day.
const MaxFrames = 86_400

// ErrTooMany means that a video has more than MaxFrames frames.
var ErrTooMany = errors.New("more frames than a day of video has seconds")

// Reader reads one video.
type Reader struct {
	lines *feed.Lines
	poor  int64
	done  bool
}

// NewReader reads from r.
func NewReader(r io.Reader) (*Reader, error) {
	lines, err := feed.NewLines(r)
	if err != nil {
		return nil, err
	}
	return &Reader{lines: lines}, nil
}

// Next gives the video, then io.EOF.
func (r *Reader) Next() (tutela.Assertion, error) {
	a := tutela.Assertion{Size: -1}
	if r.done {
		return a, io.EOF
	}
	for {
		line, err := r.lines.Next()
		if err == io.EOF {
			r.done = true
			return a, nil
		}
		if err != nil {
			return a, err
		}
		hash, quality, err := parse(line)
		if err == nil && len(a.Frames) == MaxFrames {
			err = ErrTooMany
		}
		if err != nil {
			return a, r.lines.Fail(err)
		}
		if quality < pdq.MinQuality {
			r.poor++
			continue
		}
		a.Frames = append(a.Frames, hash)
	}
}

// Poor is how many frames were left out so far.
func (r *Reader) Poor() int64 { return r.poor }

func parse(line string) (h tutela.PDQ, quality int, err error) {
	fields := strings.Split(line, ",")
	if len(fields) != 4 {
		return h, 0, fmt.Errorf("%d fields where a frame has four: number, quality, hash, seconds", len(fields))
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	if _, err := strconv.ParseUint(fields[0], 10, 63); err != nil {
		return h, 0, fmt.Errorf("frame number %.32q is no number", fields[0])
	}
	if quality, err = strconv.Atoi(fields[1]); err != nil || quality < 0 || quality > 100 {
		return h, 0, fmt.Errorf("quality %.32q is not from 0 to 100", fields[1])
	}
	if at, err := strconv.ParseFloat(fields[3], 64); err != nil || !(at >= 0) {
		return h, 0, fmt.Errorf("time %.32q is no number of seconds", fields[3])
	}
	h, err = tutela.ParsePDQ(fields[2])
	return h, quality, err
}

// IsFrame reports whether a line is one of a video.
func IsFrame(line string) bool {
	_, _, err := parse(line)
	return err == nil
}
