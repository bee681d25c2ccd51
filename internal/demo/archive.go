package demo

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
)

// part is one file of an archive in the making.
type part struct {
	name string
	data []byte
}

// zipped packs parts into a zip archive.
func zipped(parts ...part) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, p := range parts {
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Deflate, Modified: drawnAt()})
		if err != nil {
			return nil, fmt.Errorf("zip %s: %w", p.name, err)
		}
		if _, err := w.Write(p.data); err != nil {
			return nil, fmt.Errorf("zip %s: %w", p.name, err)
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// tarredGzip packs parts into a compressed tar archive.
func tarredGzip(parts ...part) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Mode: 0o644, Size: int64(len(p.data)), ModTime: drawnAt(), Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("tar %s: %w", p.name, err)
		}
		if _, err := t.Write(p.data); err != nil {
			return nil, fmt.Errorf("tar %s: %w", p.name, err)
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	err := z.Close()
	return out.Bytes(), err
}

// nested is a zip in a tar.gz in a zip, with a picture and a text at the bottom
// of it.
func nested(bottom part) ([]byte, error) {
	inner, err := zipped(bottom, part{"readme.txt", prose(3)})
	if err != nil {
		return nil, err
	}
	middle, err := tarredGzip(part{"phone/wallpapers.zip", inner})
	if err != nil {
		return nil, err
	}
	return zipped(part{"2021/phone.tar.gz", middle}, part{"2021/contents.txt", prose(2)})
}

// nestedWay is where the bottom of [nested] is found: taking off the gzip is a
// step of its own.
const nestedWay = "2021/phone.tar.gz!/phone.tar!/phone/wallpapers.zip!/"
