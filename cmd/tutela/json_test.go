package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

const jsonUsage = `usage:
	json lines                    stdout is JSON objects with message_type, and nothing else
	json count WHICH N            so many lines are WHICH
	json fields WHICH NAME…       each has exactly these fields beside message_type
	json is WHICH PATH VALUE      the first has this value; ~REGEXP matches its text
	json save WHICH PATH ENV      its value goes into a variable
WHICH is a message_type, with conditions if need be: item,path=/a.txt
PATH goes down by names and numbers: matches.0.set, matches.len for how many`

// cmdJSON looks at the JSON lines on the standard output of the last command.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg {
		ts.Fatalf(jsonUsage)
	}
	lines, err := parseLines(ts.ReadFile("stdout"))
	ts.Check(err)
	if args[0] == "lines" {
		if len(lines) == 0 {
			ts.Fatalf("no JSON line")
		}
		return
	}
	if len(args) < 3 {
		ts.Fatalf(jsonUsage)
	}
	found := which(lines, args[1])
	if args[0] != "count" && len(found) == 0 {
		ts.Fatalf("no line is %s", args[1])
	}
	switch {
	case args[0] == "count":
		if strconv.Itoa(len(found)) != args[2] {
			ts.Fatalf("%d lines are %s, want %s", len(found), args[1], args[2])
		}
	case args[0] == "fields":
		for _, line := range found {
			ts.Check(exactly(line, args[2:]))
		}
	case args[0] == "is" && len(args) == 4:
		ts.Check(compareValue(found[0], args[2], args[3]))
	case args[0] == "save" && len(args) == 4:
		value, err := dig(found[0], args[2])
		ts.Check(err)
		ts.Setenv(args[3], text(value))
	default:
		ts.Fatalf(jsonUsage)
	}
}

// parseLines insists on what `--json` promises: one object a line, each with a
// message_type.
func parseLines(stdout string) (lines []map[string]any, err error) {
	for n, line := range strings.Split(strings.TrimSuffix(stdout, "\n"), "\n") {
		if line == "" && stdout == "" {
			return nil, nil
		}
		var object map[string]any
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&object); err != nil || decoder.More() {
			return nil, fmt.Errorf("line %d is not one JSON object: %q", n+1, line)
		}
		if kind, _ := object["message_type"].(string); kind == "" {
			return nil, fmt.Errorf("line %d has no message_type: %q", n+1, line)
		}
		lines = append(lines, object)
	}
	return lines, nil
}

func which(lines []map[string]any, choice string) (found []map[string]any) {
	conditions := strings.Split(choice, ",")
	conditions[0] = "message_type=" + conditions[0]
	for _, line := range lines {
		if !slices.ContainsFunc(conditions, func(c string) bool {
			path, want, _ := strings.Cut(c, "=")
			got, err := dig(line, path)
			return err != nil || text(got) != want
		}) {
			found = append(found, line)
		}
	}
	return found
}

func exactly(line map[string]any, want []string) error {
	var got []string
	for name := range line {
		if name != "message_type" {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("fields are %v, want %v", got, want)
	}
	return nil
}

func compareValue(line map[string]any, path, want string) error {
	value, err := dig(line, path)
	if err != nil {
		return err
	}
	got := text(value)
	if pattern, ok := strings.CutPrefix(want, "~"); ok {
		if re, err := regexp.Compile(pattern); err != nil || !re.MatchString(got) {
			return fmt.Errorf("%s is %s, want a match of %s (%v)", path, got, pattern, err)
		}
		return nil
	}
	if got != want {
		return fmt.Errorf("%s is %s, want %s", path, got, want)
	}
	return nil
}

// dig goes down by names and numbers; len is the length of a list.
func dig(value any, path string) (any, error) {
	for _, step := range strings.Split(path, ".") {
		switch at := value.(type) {
		case map[string]any:
			inner, ok := at[step]
			if !ok {
				return nil, fmt.Errorf("there is no %s in %s", step, path)
			}
			value = inner
		case []any:
			if step == "len" {
				return json.Number(strconv.Itoa(len(at))), nil
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				return nil, fmt.Errorf("there is no %s in %s", step, path)
			}
			value = at[i]
		default:
			return nil, fmt.Errorf("%s of %s is not inside anything", step, path)
		}
	}
	return value, nil
}

// text is a string as it is, anything else as JSON.
func text(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
