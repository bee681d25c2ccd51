package video

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tutela/internal/video/track"
)

// drawn are the videos that testdata/make.sh drew.
func drawn(t testing.TB) []string {
	t.Helper()
	lists, err := filepath.Glob("testdata/*.keys")
	if err != nil || len(lists) == 0 {
		t.Fatal("no videos", err)
	}
	for i := range lists {
		lists[i] = strings.TrimSuffix(lists[i], ".keys")
	}
	return lists
}

// packet is a key frame as ffprobe lists it.
type packet struct {
	at     time.Duration
	size   int64
	digest string
}

func probed(t *testing.T, name string) (list []packet) {
	t.Helper()
	text, err := os.ReadFile(name + ".keys")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		field := map[string]string{}
		for _, pair := range strings.Split(strings.TrimSpace(line), "|") {
			key, value, _ := strings.Cut(pair, "=")
			field[key] = value
		}
		at := field["pts_time"]
		if at == "N/A" {
			at = field["dts_time"]
		}
		seconds, err := strconv.ParseFloat(at, 64)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := strconv.ParseInt(field["size"], 10, 64)
		list = append(list, packet{time.Duration(math.Round(seconds*1e6)) * time.Microsecond, size, strings.TrimPrefix(field["data_hash"], "SHA256:")})
	}
	return list
}

func keysOf(t *testing.T, m track.Movie, data []byte, every time.Duration) (list []packet) {
	t.Helper()
	err := m.Keys(context.Background(), &track.Picker{Every: every}, func(k track.Key) error {
		b := append(m.Track().Prefix[:len(m.Track().Prefix):len(m.Track().Prefix)], data[k.Offset:k.Offset+k.Size]...)
		list = append(list, packet{k.At.Round(time.Microsecond), int64(len(b)), fmt.Sprintf("%x", sha256.Sum256(b))})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The key frames are those that ffprobe lists: the same bytes, at the same times.
func TestKeysAreFFprobes(t *testing.T) {
	for _, name := range drawn(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			got, want := keysOf(t, m, data, 0), probed(t, name)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if len(m.Findings()) > 0 {
				t.Errorf("findings %v", m.Findings())
			}
			t.Logf("%+v", summary(m.Track()))
		})
	}
}

func summary(k track.Track) string {
	return fmt.Sprintf("%s %s %s %dx%d %v config %d indexed %v", k.Container, k.Name, k.Codec, k.Width, k.Height, k.Duration, len(k.Config), k.Indexed)
}
