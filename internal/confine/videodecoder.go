package confine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tutela"
	"tutela/internal/video"
)

// decoderChild is the value of childVariable for a child that becomes ffmpeg.
const decoderChild = "decoder"

// ffmpeg is the decoder of videos that this machine has.
type ffmpeg struct {
	path string // "" if there is none, or none is wanted

	once    sync.Once
	version string // "5.1.9"; "" if it does not tell, and then it is not used
}

// findFFmpeg looks where Options say. A program that was named must be there.
func findFFmpeg(wanted string) (string, error) {
	switch wanted {
	case "none":
		return "", nil
	case "":
		path, err := exec.LookPath("ffmpeg")
		if err != nil {
			return "", nil
		}
		return filepath.Abs(path)
	}
	path, err := exec.LookPath(wanted)
	if err != nil {
		return "", fmt.Errorf("find the decoder of videos: %w", err)
	}
	return filepath.Abs(path)
}

// refusesVideo says why frames of a coding (%s) are not decoded, if they are not.
func (h *Host) refusesVideo() string {
	switch {
	case h.ffmpeg.path == "":
		return "no decoder for %s here"
	case !decoderConfined:
		return "no decoder for %s can be confined on this system"
	case h.ffmpegVersion() == "":
		return "no decoder for %s that works here"
	}
	return ""
}

// ffmpegVersion asks ffmpeg once. It sees nothing of the evidence yet.
func (h *Host) ffmpegVersion() string {
	f := &h.ffmpeg
	f.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, f.path, "-nostdin", "-version")
		cmd.Env = []string{}
		out, err := cmd.Output()
		if words := strings.Fields(string(out)); err == nil && len(words) > 2 && words[0] == "ffmpeg" {
			f.version = shortVersion(words[2])
		}
	})
	return f.version
}

// shortVersion leaves off what a distribution adds.
func shortVersion(v string) string {
	if v[0] >= '0' && v[0] <= '9' {
		v, _, _ = strings.Cut(v, "-")
		v, _, _ = strings.Cut(v, "+")
	}
	return tutela.DisplayPath([]byte(v[:min(len(v), 40)]))
}

// ffmpegProcess is a running ffmpeg. It is given a stream of key frames
// (video.Feed) and gives back pixels, and in a second pipe their numbers.
type ffmpegProcess struct {
	what     string // it decodes: "video"
	cmd      *exec.Cmd
	in       io.WriteCloser
	said     *tail
	patience time.Duration
	ended    chan struct{} // closed when it has ended

	waiting atomic.Bool  // we wait for it, not it for us
	moved   atomic.Int64 // when it last took or gave something, in ns
	stalled atomic.Bool
}

// videoDecoder is a running ffmpeg whose pixels are hashed.
type videoDecoder struct {
	*ffmpegProcess
	gathered *video.Gatherer

	frames []decodedFrame // valid after over
	over   chan struct{}  // closed when nothing more is read from it
}

// decodedFrame is what was made of a picture that came back.
type decodedFrame struct {
	number  int64
	hash    tutela.PDQ
	quality int
}

// decoderArguments are those of ffmpeg for a video, whose frames come back as
// package video hashes them.
func decoderArguments(version, coding string, gathered *video.Gatherer) []string {
	w, h := gathered.RawSize()
	return streamArguments(version, coding, fmt.Sprintf("scale=%d:%d:flags=neighbor", w, h), "rgb24")
}

// streamArguments are those of ffmpeg. It may read a pipe of one format only,
// one that we write; it knows no file. The tee gives the pixels to one pipe, and
// to another a line for each frame that says which it is.
func streamArguments(version, coding, filter, pixels string) []string {
	a := []string{
		"ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error",
		"-protocol_whitelist", "pipe", "-f", "ivf", "-probesize", "32", "-analyzeduration", "0",
		"-threads", "1", "-skip_frame", "nokey", "-flags", "+output_corrupt",
	}
	if coding == "hevc" || coding == "prores" { // IVF has no name for them
		a = append(a, "-c:v", coding)
	}
	return append(a, "-i", "pipe:0",
		"-map", "0:v:0", "-an", "-sn", "-dn", "-filter_threads", "1",
		"-vf", filter,
		passthrough(version), "passthrough", "-enc_time_base", fmt.Sprintf("1:%d", video.FeedRate),
		"-c:v", "rawvideo", "-pix_fmt", pixels, "-f", "tee", `[f=rawvideo]pipe\:1|[f=framecrc:flush_packets=1]pipe\:3`)
}

// passthrough is the option that keeps ffmpeg from dropping and repeating frames.
func passthrough(version string) string {
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	m, err := strconv.Atoi(major)
	n, _ := strconv.Atoi(minor)
	if err == nil && (m < 5 || m == 5 && n < 1) {
		return "-vsync"
	}
	return "-fps_mode"
}

func (h *Host) startVideoDecoder(ctx context.Context, coding string, gathered *video.Gatherer) (*videoDecoder, error) {
	p, pixels, numbers, err := h.startFFmpeg(ctx, "video", decoderArguments(h.ffmpegVersion(), coding, gathered))
	if err != nil {
		return nil, err
	}
	d := &videoDecoder{ffmpegProcess: p, gathered: gathered, over: make(chan struct{})}
	go d.read(pixels, numbers)
	go d.guard()
	return d, nil
}

// startFFmpeg starts ffmpeg, confined. Whoever called it reads the pipes of
// pixels and of numbers, closes the latter, and runs guard.
func (h *Host) startFFmpeg(ctx context.Context, what string, arguments []string) (p *ffmpegProcess, pixels io.Reader, numbers *os.File, err error) {
	p = &ffmpegProcess{what: what, said: &tail{}, patience: h.patience, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, h.program, append([]string{h.ffmpeg.path}, arguments...)...)
	p.cmd.Env = []string{childVariable + "=" + decoderChild, "GOTRACEBACK=single"}
	p.cmd.Stderr = p.said
	detach(p.cmd)
	numbers, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	defer theirs.Close()
	p.cmd.ExtraFiles = []*os.File{theirs}
	if pixels, err = p.start(); err != nil {
		numbers.Close()
		return nil, nil, nil, err
	}
	p.progress()
	return p, pixels, numbers, nil
}

func (d *ffmpegProcess) start() (pixels io.Reader, err error) {
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if pixels, err = d.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	widen(d.in)
	widen(pixels)
	return pixels, d.cmd.Start()
}

func (d *ffmpegProcess) progress() { d.moved.Store(time.Now().UnixNano()) }

// write gives ffmpeg a piece of the stream.
func (d *ffmpegProcess) write(b []byte) error {
	d.waiting.Store(true)
	defer d.waiting.Store(false)
	d.progress()
	if _, err := d.in.Write(b); err != nil {
		return errDecoderGone
	}
	return nil
}

// read hashes frames as they come, each with the line that framecrc writes of it:
// "stream, dts, pts, …". What is more than there can be is not taken.
func (d *videoDecoder) read(pixels io.Reader, lines *os.File) {
	defer close(d.over)
	defer lines.Close()
	numbers := &frameNumbers{lines: bufio.NewScanner(lines), unit: 1}
	frame := make([]byte, d.gathered.FrameBytes())
	for range video.MostFrames {
		if _, err := io.ReadFull(pixels, frame); err != nil {
			return
		}
		d.progress()
		number := numbers.next()
		if number < 0 {
			continue
		}
		hash, quality := d.gathered.Add(frame)
		d.frames = append(d.frames, decodedFrame{number: number, hash: hash, quality: quality})
	}
}

// frameNumbers reads the numbers of frames.
type frameNumbers struct {
	lines *bufio.Scanner
	unit  int64 // of the times in it, in those of the feed
}

// next is the number of the next frame in its stream, below 0 where it is not told.
func (f *frameNumbers) next() int64 {
	for f.lines.Scan() {
		line := f.lines.Text()
		var stream, num, den, dts, pts int64
		if n, _ := fmt.Sscanf(line, "#tb %d: %d/%d", &stream, &num, &den); n == 3 && den > 0 {
			f.unit = num * video.FeedRate / den
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		if n, _ := fmt.Sscanf(line, "%d,%d,%d", &stream, &dts, &pts); n < 3 {
			return -1
		}
		return pts * f.unit
	}
	return -1
}

// guard ends an ffmpeg that neither takes nor gives while we wait for it.
func (d *ffmpegProcess) guard() {
	tick := time.NewTicker(max(d.patience/30, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-d.ended:
			return
		case <-tick.C:
		}
		if !d.waiting.Load() {
			d.progress()
		}
		if time.Now().UnixNano()-d.moved.Load() > int64(d.patience) {
			d.stalled.Store(true)
			d.cmd.Process.Kill()
		}
	}
}

// finish says that nothing follows, and waits for the last frames. The Death is
// that of an ffmpeg that did not end by itself.
func (d *videoDecoder) finish() ([]decodedFrame, *Death) {
	d.progress()
	d.waiting.Store(true)
	d.in.Close()
	<-d.over
	return d.frames, d.wait()
}

// wait waits for the end, when nothing more is read.
func (d *ffmpegProcess) wait() *Death {
	err := d.cmd.Wait()
	close(d.ended)
	return d.autopsy(err)
}

// autopsy says in the same words each time how ffmpeg ended. An error that it
// tells by itself is none: it made nothing of what it was given.
func (d *ffmpegProcess) autopsy(err error) *Death {
	var exit *exec.ExitError
	switch {
	case d.stalled.Load():
		return &Death{tutela.FindingStalled, fmt.Sprintf("the %s decoder made no progress for %s and was ended", d.what, d.patience)}
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.Exited():
		if reason := d.said.reason(); strings.HasPrefix(reason, "fatal error: ") {
			return &Death{tutela.FindingCrashed, "the " + d.what + " decoder crashed: " + reason}
		}
		return nil
	}
	return &Death{tutela.FindingCrashed, "the " + d.what + " decoder crashed: " + err.Error()}
}
