package confine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tutela"
)

// become runs a shell as a decoder is run, and gives back what it says.
func become(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "/bin/sh", "sh", "-c", script)
	cmd.Env = []string{childVariable + "=" + decoderChild}
	out, err := cmd.CombinedOutput()
	return string(out) + "; " + outcome(err)
}

func outcome(err error) string {
	if err == nil {
		return "ended"
	}
	return err.Error()
}

// What a decoder could do with what it is given, it cannot do elsewhere.
func TestDecoderIsConfined(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := become(t, "echo here"); got != "here\n; ended" {
		t.Fatalf("it does not run at all: %s", got)
	}
	for what, script := range map[string]string{
		"write a file":           "echo x > " + dir + "/new && echo done",
		"change a file":          "echo x >> " + file + " && echo done",
		"start a program":        "/bin/true && echo done; echo",
		"start a process":        "(echo done)",
		"become another program": "exec /bin/echo done",
		"signal":                 "kill -0 $PPID && echo done",
		"take memory":            "ulimit -d unlimited && echo done",
		"stay for ever":          "ulimit -t unlimited && echo done",
	} {
		if os.Getuid() == 0 && strings.Contains(script, "ulimit") {
			continue // who is root may raise limits; the filter does not know whose they are
		}
		if got := become(t, script); strings.Contains(got, "done") {
			t.Errorf("it could %s: %s", what, got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made")
	}
	if got := become(t, "echo $PWD $TUTELA_CONFINED_CHILD; set"); !strings.HasPrefix(got, "/\n") {
		t.Errorf("it knows where it was started: %s", got)
	}
	if hasLandlock() {
		if got := become(t, "read line < "+file+"; echo $line"); strings.Contains(got, "secret") {
			t.Errorf("it could read a file: %s", got)
		}
	}
}

// fake is a decoder that behaves as a script says.
func fake(t *testing.T, script string, patience time.Duration) *Host {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	text := "#!/bin/sh\nif [ \"$2\" = -version ]; then echo ffmpeg version 9.9 by hand; exit; fi\n" + script + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return newHost(t, Options{FFmpeg: path, Patience: patience})
}

func TestWickedDecoders(t *testing.T) {
	data := drawnVideo(t, "end.mp4")
	const nothing = "video not decoded: ffmpeg 9.9 h264 made nothing of its frames"
	for _, c := range []struct{ name, script, code, detail string }{
		{"hangs", "while :; do :; done", tutela.FindingStalled, "the video decoder made no progress for 1s and was ended"},
		{"takes too long", "ulimit -t 0; while :; do :; done", tutela.FindingCrashed, "the video decoder crashed: signal: killed"},
		{"fails", "exit 1", tutela.FindingNotDecoded, nothing},
		{"gives nothing", "while read -r line; do :; done", tutela.FindingNotDecoded, nothing},
		{"gives garbage", "echo garbage; echo garbage >&3", tutela.FindingNotDecoded, nothing},
		{"never stops talking", "while :; do echo 0, 1, 1 >&3; done", tutela.FindingCrashed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := watch(t, fake(t, c.script, time.Second), data)
			if v.Video.Codec != "avc1" || len(v.Video.Frames) > 0 || v.Video.Decoder != "" || len(v.Findings) != 1 {
				t.Fatalf("%+v", v)
			}
			if f := v.Findings[0]; c.detail != "" && (f.Code != c.code || f.Detail != c.detail) {
				t.Errorf("%v", f)
			}
		})
	}
}

// Frames that a decoder passes over are missed, and what bears no number is none.
func TestFramesAreToldByTheirNumber(t *testing.T) {
	zeros := "printf '%057600d' 0" // a frame of 160×120
	h := fake(t, zeros+"; "+zeros+"; echo '#tb 0: 1/25' >&3; echo '0, 1, 1, 1, 57600, 0x0' >&3; echo '0, 7, 7, 1, 57600, 0x0' >&3", 20*time.Second)
	w := &watching{h: h, ctx: t.Context()}
	data := drawnVideo(t, "end.mp4")
	if err := w.run(bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if f := w.view.Video.Frames; w.decoded != 1 || len(f) != 0 { // of no quality
		t.Errorf("%d frames: %+v", w.decoded, f)
	}
	if len(w.view.Findings) != 1 || w.view.Findings[0].String() != "not-decoded: 3 of 4 frames could not be decoded" {
		t.Errorf("%v", w.view.Findings)
	}
}

func hasLandlock() bool {
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0
}
