package confine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/picture"
)

// tileOf prints a frame of grid.heic, and tells its number.
func tileOf(number string) string {
	return "printf '%024576d' 0; echo '0, " + number + ", " + number + ", 1, 24576, 0x0' >&3; "
}

const rate = "echo '#tb 0: 1/25' >&3; "

func TestWickedPictureDecoders(t *testing.T) {
	data := drawnStill(t, "grid.heic")
	const nothing = "picture not decoded: damaged: ffmpeg 9.9 hevc made nothing of HEIC"
	for _, c := range []struct{ name, script, code, text string }{
		{"hangs", "while :; do :; done", tutela.FindingStalled, "the picture decoder made no progress for 1s and was ended"},
		{"takes too long", "ulimit -t 0; while :; do :; done", tutela.FindingCrashed, "the picture decoder crashed: signal: killed"},
		{"fails", "exit 1", "", nothing},
		{"gives nothing", "while read -r line; do :; done", "", nothing},
		{"gives garbage", "echo garbage; echo garbage >&3", "", nothing},
		{"gives frames that are none", rate + tileOf("6") + tileOf("-1"), "", nothing},
		{"gives too many", rate + "while :; do " + tileOf("9") + "done", "", "does not end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fake(t, c.script, time.Second).Look(context.Background(), data, picture.Ask{Exact: true})
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("%v", err)
			}
			var death *Death
			if errors.As(err, &death) != (c.code != "") || death != nil && death.Code != c.code {
				t.Errorf("%v", death)
			}
		})
	}
}

// Parts that a decoder passes over are missed, and the others lie at their places.
func TestPartsAreToldByTheirNumber(t *testing.T) {
	h := fake(t, rate+tileOf("1")+tileOf("5")+tileOf("1"), 20*time.Second)
	v, err := h.Look(context.Background(), drawnStill(t, "grid.heic"), picture.Ask{Exact: true, Thumbnail: true})
	if err != nil {
		t.Fatal(err)
	}
	if p := v.Perceptual; p.Width != 371 || p.Height != 241 || p.Decoder != "ffmpeg 9.9 hevc" {
		t.Errorf("%+v", p)
	}
	if len(v.Findings) != 1 || v.Findings[0].String() != "damaged: 4 of 6 parts of the picture could not be decoded" {
		t.Errorf("%v", v.Findings)
	}
	if len(v.Thumbnail) == 0 {
		t.Error("no thumbnail")
	}
}
