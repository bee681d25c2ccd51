package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"tutela"
	"tutela/internal/hashset"
	"tutela/match"
)

// learning looks at pictures that a set is to be made of. A file that is no
// picture is left out and told, the others are imported.
type learning struct {
	a        *app
	m        *match.Matcher
	category tutela.Category
	kept     int              // files that were given on
	left     map[string]error // files that were not, and why
}

func (k *learning) open(category tutela.Category) (err error) {
	k.category, k.kept = category, 0
	k.m, err = match.New(hashset.NewSets())
	return err
}

func (k *learning) close() error { return k.m.Close() }

// report tells what was left out, by name.
func (k *learning) report() {
	for _, name := range slices.Sorted(maps.Keys(k.left)) {
		fmt.Fprintf(k.a.errs, "tutela: left out: %s: %v\n", name, k.left[name])
	}
}

// learnt is what became of one file.
type learnt struct {
	picture hashset.Picture
	err     error
}

// each looks at the files on all processors and gives the pictures in the order of
// the files.
func (k *learning) each(files []string) iter.Seq2[hashset.Picture, error] {
	return func(yield func(hashset.Picture, error) bool) {
		ctx, cancel := context.WithCancel(k.a.ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		queue := make(chan chan learnt, runtime.GOMAXPROCS(0)-1)
		group.Go(func() {
			defer close(queue)
			for _, name := range files {
				one := make(chan learnt, 1)
				select {
				case queue <- one:
				case <-ctx.Done():
					return
				}
				group.Go(func() {
					p, err := k.see(ctx, name)
					one <- learnt{p, err}
				})
			}
		})
		k.give(files, queue, yield)
	}
}

func (k *learning) give(files []string, queue <-chan chan learnt, yield func(hashset.Picture, error) bool) {
	at := 0
	for one := range queue {
		l := <-one
		switch {
		case k.a.ctx.Err() != nil:
			yield(hashset.Picture{}, context.Cause(k.a.ctx))
			return
		case l.err != nil:
			k.left[files[at]] = l.err
		case !yield(l.picture, nil):
			return
		default:
			k.kept++
		}
		at++
	}
	if k.kept == 0 {
		yield(hashset.Picture{}, errors.New("no file is a picture that can be read"))
	}
}

// see looks at one file.
func (k *learning) see(ctx context.Context, name string) (hashset.Picture, error) {
	f, size, err := openRegular(name)
	if err != nil {
		return hashset.Picture{}, err
	}
	defer f.Close()
	answer, err := k.m.Learn(ctx, f, size)
	if err != nil {
		return hashset.Picture{}, err
	}
	if answer.Picture == nil {
		return hashset.Picture{}, notPicture(answer)
	}
	d := answer.Digests
	p := hashset.Picture{Name: filepath.Base(name), Features: answer.Features, Assertion: tutela.Assertion{
		MD5: &d.MD5, SHA1: &d.SHA1, SHA256: &d.SHA256, Size: answer.Size, Category: k.category,
	}}
	if answer.Picture.Quality >= hashset.MinQuality {
		p.Assertion.PDQ = &answer.Picture.PDQ
	}
	return p, nil
}

func notPicture(a *match.Answer) error {
	if len(a.Findings) > 0 {
		return errors.New(a.Findings[0].String())
	}
	return fmt.Errorf("not a picture: %s", a.Type)
}
