package confine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestVideoSmoke(t *testing.T) {
	h := newHost(t, Options{})
	names, _ := filepath.Glob("../video/testdata/*.keys")
	for _, n := range names {
		n = n[:len(n)-5]
		data, _ := os.ReadFile(n)
		v, err := h.Video(context.Background(), bytes.NewReader(data), int64(len(data)))
		t.Logf("%s: %v %d frames, strip %d, %v, %v", filepath.Base(n), v.Video.Decoder, len(v.Video.Frames), len(v.Strip), v.Findings, err)
		for _, f := range v.Video.Frames {
			t.Log("   ", f.At, f.Quality, f.PDQ)
		}
	}
}
