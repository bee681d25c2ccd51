package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// writeFolder puts the laptop's files where the host can see them.
func (p *Plan) writeFolder(ctx context.Context, a *album) error {
	files, err := laptop(a)
	if err != nil {
		return err
	}
	for i := range files {
		f := &files[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.hostile && runtime.GOOS != "linux" {
			continue
		}
		err := p.writeHostFile(f)
		if err != nil && f.hostile {
			continue // this file system does not take the name: then it is not planted
		}
		if err != nil {
			return fmt.Errorf("plant %q: %w", f.path, err)
		}
		p.plant(Folder, "", f)
	}
	return nil
}

func (p *Plan) writeHostFile(f *file) error {
	name := filepath.Join(p.Folder, filepath.FromSlash(f.path))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	if f.link != "" {
		return os.Symlink(f.link, name)
	}
	if err := writeFile(name, f.content); err != nil {
		return err
	}
	return os.Chtimes(name, drawnAt(), drawnAt())
}
