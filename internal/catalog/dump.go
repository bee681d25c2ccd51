package catalog

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"reflect"
	"time"
)

// Dump writes all that can be read from a store as text, one value a line, in
// an order that depends on the content alone: two catalogues are the same if
// and only if their dumps are the same bytes. It reads every scan, not only the
// newest. Compare stores at rest: a dump is not one moment.
func Dump(ctx context.Context, s Store, w io.Writer) error {
	d := dumper{w: bufio.NewWriterSize(w, 1<<16)}
	for _, step := range []func(context.Context, Store) error{d.log, d.nouns, d.scans} {
		if err := step(ctx, s); err != nil {
			return fmt.Errorf("dump catalogue: %w", err)
		}
	}
	return d.w.Flush()
}

type dumper struct{ w *bufio.Writer }

func (d *dumper) log(ctx context.Context, s Store) error {
	return dumpSeq(d, "event", s.Custody(ctx, About{}))
}

func (d *dumper) nouns(ctx context.Context, s Store) error {
	cases, err := s.Cases(ctx)
	if err := dumpList(d, "case", cases, err); err != nil {
		return err
	}
	authorities, err := s.Authorities(ctx, "")
	if err := dumpList(d, "authority", authorities, err); err != nil {
		return err
	}
	exhibits, err := s.Exhibits(ctx, "")
	if err := dumpList(d, "exhibit", exhibits, err); err != nil {
		return err
	}
	sets, err := s.Sets(ctx)
	if err := dumpList(d, "set", sets, err); err != nil {
		return err
	}
	accounts, err := s.Accounts(ctx)
	return dumpList(d, "account", accounts, err)
}

func (d *dumper) scans(ctx context.Context, s Store) error {
	scans, err := s.Scans(ctx, "")
	if err != nil {
		return err
	}
	for _, scan := range scans {
		if err := d.scan(ctx, s, scan); err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) scan(ctx context.Context, s Store, scan Scan) error {
	if err := d.line("scan", scan); err != nil {
		return err
	}
	counts, err := s.Rollup(ctx, scan.ScanID)
	if err != nil {
		return err
	}
	if err := d.line("counts", counts); err != nil {
		return err
	}
	return dumpSeq(d, "location", s.Find(ctx, Query{Exhibit: scan.Exhibit, Scan: scan.Number}))
}

func dumpList[T any](d *dumper, what string, list []T, err error) error {
	if err != nil {
		return err
	}
	for _, v := range list {
		if err := d.line(what, v); err != nil {
			return err
		}
	}
	return nil
}

func dumpSeq[T any](d *dumper, what string, seq iter.Seq2[T, error]) error {
	for v, err := range seq {
		if err != nil {
			return err
		}
		if err := d.line(what, v); err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) line(what string, v any) error {
	d.w.WriteString(what)
	d.w.WriteByte(' ')
	d.value(reflect.ValueOf(v))
	return d.w.WriteByte('\n') // a bufio.Writer keeps its first error
}

var timeType = reflect.TypeFor[time.Time]()

// value goes through whatever there is, so that a field added to a noun cannot
// be forgotten here. JSON would not do: it has no bytes that are not UTF-8 and
// no years after 9999, and evidence has both.
func (d *dumper) value(v reflect.Value) {
	switch {
	case v.Type() == timeType:
		t := v.Interface().(time.Time)
		fmt.Fprintf(d.w, "%d.%09d", t.Unix(), t.Nanosecond())
	case v.Kind() == reflect.String:
		fmt.Fprintf(d.w, "%q", v.String())
	case v.Kind() == reflect.Pointer:
		d.pointer(v)
	case v.Kind() == reflect.Struct:
		d.structure(v)
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		d.list(v)
	default:
		fmt.Fprint(d.w, v.Interface())
	}
}

func (d *dumper) pointer(v reflect.Value) {
	if v.IsNil() {
		d.w.WriteByte('-')
		return
	}
	d.value(v.Elem())
}

func (d *dumper) structure(v reflect.Value) {
	d.w.WriteByte('{')
	for i := range v.NumField() {
		if i > 0 {
			d.w.WriteByte(' ')
		}
		d.w.WriteString(v.Type().Field(i).Name)
		d.w.WriteByte('=')
		d.value(v.Field(i))
	}
	d.w.WriteByte('}')
}

func (d *dumper) list(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		d.bytes(v)
		return
	}
	d.w.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			d.w.WriteByte(' ')
		}
		d.value(v.Index(i))
	}
	d.w.WriteByte(']')
}

// bytes writes a digest as people know it, and text as text.
func (d *dumper) bytes(v reflect.Value) {
	if v.Kind() == reflect.Array {
		fmt.Fprint(d.w, v.Interface())
		return
	}
	fmt.Fprintf(d.w, "%q", v.Bytes())
}
