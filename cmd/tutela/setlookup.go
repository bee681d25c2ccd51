package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/hashset"
)

type setLookup struct {
	Value []string `arg:"" optional:"" help:"MD5, SHA-1, SHA-256 or PDQ, in hexadecimal digits."`
	File  string   `help:"A list of digests, one a line; - is standard input." placeholder:"LIST"`
}

func (c *setLookup) Run(a *app) error {
	if len(c.Value) == 0 && c.File == "" {
		return misuse("expected digests, or --file LIST")
	}
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	sets, err := l.Sets.OpenActive()
	if err != nil {
		return err
	}
	defer sets.Close()
	out := bufio.NewWriterSize(a.out, 64<<10)
	answers := &answers{out: out, json: a.json, said: map[tutela.Match]string{}}
	if err := answers.give(sets, c.Value, ""); err != nil {
		return errors.Join(err, out.Flush())
	}
	if c.File != "" {
		if err := answers.list(sets, c.File); err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}

// answers writes what is known about digests.
type answers struct {
	out  *bufio.Writer
	json bool
	said map[tutela.Match]string // without the row: rows of a set are many, what is said of them is not
	last tutela.Match
	what string // is said of last

	found []answer
	buf   []byte
}

// askedTogether is how many lines of a list are looked up at once.
const askedTogether = 16 << 10

// list looks up every line of a list that is neither blank nor a comment.
func (s *answers) list(sets *hashset.Sets, path string) error {
	var in io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	var values []string
	number, first := 0, 1
	for lines.Scan() {
		number++
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			values = append(values, line)
		}
		if len(values) == askedTogether {
			if err := s.give(sets, values, fmt.Sprintf("%s, lines %d to %d: ", path, first, number)); err != nil {
				return err
			}
			values, first = values[:0], number+1
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", path, number+1, err)
	}
	return s.give(sets, values, fmt.Sprintf("%s, lines %d to %d: ", path, first, number))
}

type answer struct {
	value int
	match tutela.Match
}

// give looks values up and writes an answer for each, in their order. where
// stands before what is wrong with one.
func (s *answers) give(sets *hashset.Sets, values []string, where string) error {
	found := s.found[:0]
	err := sets.LookupAll(values, func(value int, m tutela.Match) { found = append(found, answer{value, m}) })
	s.found = found
	var wrong *hashset.ValueError
	if errors.As(err, &wrong) {
		return misuse("%s%s: %v", where, values[wrong.Index], wrong)
	}
	if err != nil {
		return err
	}
	order := inOrder(found, len(values))
	for i, value := range values {
		n := 0
		for n < len(order) && found[order[n]].value == i {
			n++
		}
		if err := s.write(value, found, order[:n]); err != nil {
			return err
		}
		order = order[n:]
	}
	return nil
}

// inOrder sorts answers by the values that they are to, by counting: they are
// large, and a list has millions.
func inOrder(found []answer, values int) []int32 {
	ends := make([]int32, values+1)
	for i := range found {
		ends[found[i].value+1]++
	}
	for i := range values {
		ends[i+1] += ends[i]
	}
	order := make([]int32, len(found))
	for i := range found {
		at := &ends[found[i].value]
		order[*at] = int32(i)
		*at++
	}
	return order
}

// write writes one answer by hand: a digest needs no quoting, and lists are long.
func (s *answers) write(value string, found []answer, which []int32) error {
	b := s.buf[:0]
	if !s.json && len(which) == 0 {
		b = append(append(b, value...), ": not in any set\n"...)
	}
	if s.json {
		b = append(append(b, `{"message_type":"lookup","value":"`...), value...)
		b = append(strconv.AppendBool(append(b, `","known":`...), len(which) > 0), `,"matches":[`...)
	}
	for i, at := range which {
		m := &found[at].match
		row := m.Row
		m.Row = 0
		said, err := s.say(*m)
		if err != nil {
			return err
		}
		if !s.json {
			b = append(append(append(b, value...), ": "...), said...)
			b = append(strconv.AppendUint(append(b, ", row "...), row, 10), '\n')
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(append(b, said[:len(said)-1]...), `,"row":`...), row, 10)
		b = append(b, '}')
	}
	if s.json {
		b = append(b, "]}\n"...)
	}
	s.buf = b
	_, err := s.out.Write(b)
	return err
}

// say is what a match says but for its row.
func (s *answers) say(m tutela.Match) (string, error) {
	if s.what != "" && m == s.last {
		return s.what, nil
	}
	said, err := s.sayAnew(m)
	s.last, s.what = m, said
	return said, err
}

func (s *answers) sayAnew(m tutela.Match) (string, error) {
	said, ok := s.said[m]
	if ok {
		return said, nil
	}
	said = strings.ToUpper(m.Status.String()) + ": " + explainMatch(m)
	if s.json {
		text, err := json.Marshal(lineOfMatch(m))
		if err != nil {
			return "", err
		}
		said = string(text)
	}
	s.said[m] = said
	return said, nil
}
