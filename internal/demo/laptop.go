package demo

import (
	"fmt"
	"strings"
)

// script collects the files of one exhibit. The first error stops it, so that a
// story can be told without a question after every sentence.
type script struct {
	album *album
	files []file
	err   error
}

func (s *script) add(f file) { s.files = append(s.files, f) }

// ordinary plants n pictures nobody knows in folder.
func (s *script) ordinary(folder string, n int) {
	for range n {
		p := s.album.next()
		s.add(file{path: folder + "/" + p.name, content: p.data, expect: Unknown, why: "a picture nobody knows"})
	}
}

// exact plants an alert picture as it is, under another name.
func (s *script) exact(base string, number int, why string) {
	p := s.album.alert[number]
	s.add(file{path: p.as(base), content: p.data, expect: AlertExact, why: why})
}

// near plants an altered copy of an alert picture.
func (s *script) near(base string, number int, how alteration) {
	if p := s.altered(number, how); s.err == nil {
		s.add(file{path: p.as(base), content: p.data, expect: AlertNear, why: "an alert picture, " + string(how)})
	}
}

func (s *script) altered(number int, how alteration) still {
	if s.err != nil {
		return still{}
	}
	p, err := how.of(s.album.alert[number])
	s.err = err
	return p
}

// packed plants a file that holds others; content comes with the error of its
// making.
func (s *script) packed(path, why string, content []byte, err error, inside ...member) {
	if s.err == nil {
		s.err = err
	}
	s.add(file{path: path, content: content, expect: Unknown, why: why, inside: inside})
}

// laptop tells what lies in the home folder.
func laptop(a *album) ([]file, error) {
	s := &script{album: a}
	s.pictures()
	s.downloads()
	s.documents()
	s.oddNames()
	s.files = append(s.files, install("/programs/gradient-viewer")...)
	if s.err != nil {
		return nil, fmt.Errorf("draw the laptop: %w", s.err)
	}
	return s.files, nil
}

func (s *script) pictures() {
	s.ordinary("/pictures/camera", 18)
	s.exact("/pictures/camera/IMG_2207", 0, "an alert picture among ordinary ones")
	s.exact("/pictures/camera/IMG_2208", 1, "an alert picture among ordinary ones")
	s.ordinary("/pictures/walks", 12)
	s.exact("/pictures/walks/untitled", 2, "an alert picture under another name")
	s.near("/pictures/walks/untitled-web", 2, halved)
	s.near("/pictures/walks/evening", 3, reencoded)
	s.near("/pictures/walks/evening-2", 3, brightened)
	s.near("/pictures/walks/fog", 4, blurred)
	s.exact("/pictures/backup of camera/IMG_2207", 0, "the same content as in /pictures/camera")
	s.near("/.cache/thumbnails/normal/3f2a", 0, thumbnail)
	s.near("/.cache/thumbnails/normal/91c0", 5, lossless)
}

func (s *script) downloads() {
	s.ordinary("/downloads", 4)
	s.exact("/downloads/IMG_2207 (1)", 0, "the same content for the third time")
	s.near("/downloads/animated", 6, fewColours)
	bottom := s.album.alert[7]
	content, err := nested(part{bottom.as("wallpaper"), bottom.data})
	s.packed("/downloads/backup.zip", "an archive with archives inside", content, err,
		member{"2021/phone.tar.gz", Unknown, "an archive in an archive"},
		member{"2021/phone.tar.gz!/phone.tar", Unknown, "the same, decompressed"},
		member{strings.TrimSuffix(nestedWay, "!/"), Unknown, "an archive three steps deep"},
		member{nestedWay + bottom.as("wallpaper"), AlertExact, "an alert picture in a zip in a tar.gz in a zip"},
		member{nestedWay + "readme.txt", Unknown, "a text four steps deep"},
		member{"2021/contents.txt", Unknown, "a text in an archive"})
}

func (s *script) documents() {
	s.add(file{path: "/documents/letter.txt", content: prose(12), expect: Unknown, why: "a plain text"})
	s.add(file{path: "/documents/receipt.pdf", content: pdf("One gradient, paid in full"), expect: Unknown, why: "a small PDF"})
	shown := s.altered(8, reencoded)
	content, err := docx("image1.jpg", shown.data)
	s.packed("/documents/report.docx", "a document with a picture in it", content, err,
		member{"word/media/image1.jpg", AlertNear, "an alert picture in a document, " + string(reencoded)},
		member{"word/document.xml", Unknown, "the text of the document"})
}

// oddNames plants what trips up tools that expect tidy names.
func (s *script) oddNames() {
	s.add(file{path: "/desktop/empty.txt", content: nil, expect: Unknown, why: "an empty file"})
	s.add(file{path: "/desktop/camera", link: "../pictures/camera", hostile: true, expect: Unknown, why: "a symbolic link: recorded, never followed"})
	p := s.album.alert[1]
	s.add(file{path: p.as("/desktop/caf\xe9"), content: p.data, hostile: true, expect: AlertExact, why: "an alert picture under a name that is not UTF-8"})
	s.add(file{path: "/desktop/two\nlines.txt", content: prose(2), hostile: true, expect: Unknown, why: "a name with a line break"})
}
