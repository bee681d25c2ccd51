package demo

import "fmt"

// homeVolume tells what lies on the NTFS volume.
func homeVolume(a *album) ([]file, error) {
	s := &script{album: a}
	s.ordinary("/Users/sam/Pictures", 8)
	s.exact("/Users/sam/Pictures/Été", 9, "an alert picture under a name with accents")
	s.exact("/Users/sam/Pictures/split", 0, "an alert picture in two fragments, the second lying before the first")
	s.files[len(s.files)-1].fragmented = true
	s.near("/Users/sam/Pictures/small", 1, halved)
	s.stream()
	s.erased()
	s.files = append(s.files, install("/Program Files/Gradient Viewer")...)
	if s.err != nil {
		return nil, fmt.Errorf("draw the NTFS volume: %w", s.err)
	}
	return s.files, nil
}

// stream plants a text so short that it lies in its own MFT record, and behind
// it an alternate data stream.
func (s *script) stream() {
	const path = "/Users/sam/Documents/notes.txt"
	s.add(file{path: path, content: prose(4), expect: Unknown, why: "a text that lies in its MFT record"})
	p := s.altered(10, thumbnail)
	s.add(file{path: path, stream: "preview.png", content: p.data, expect: AlertNear, why: "an alert picture in an alternate data stream, " + string(thumbnail)})
	s.add(file{path: "/Users/sam/Documents/long.txt", content: prose(200), expect: Unknown, why: "a text in clusters of its own"})
}

// erased plants files that were deleted; their clusters are free and still hold
// the content.
func (s *script) erased() {
	p := s.album.alert[11]
	s.add(file{path: p.as("/Users/sam/Pictures/gone"), content: p.data, deleted: true, expect: AlertExact, why: "a deleted alert picture, content intact"})
	p = s.album.next()
	s.add(file{path: p.as("/Users/sam/Pictures/gone too"), content: p.data, deleted: true, expect: Unknown, why: "a deleted picture nobody knows"})
	s.add(file{path: "/Users/sam/Documents/draft.txt", content: prose(5), deleted: true, expect: Unknown, why: "a deleted text that lay in its MFT record"})
}

// discVolume tells what lies on the ISO 9660 volume.
func discVolume(a *album) ([]file, error) {
	s := &script{album: a}
	s.add(file{path: "/read me first.txt", content: prose(6), expect: Unknown, why: "a text"})
	s.ordinary("/holiday pictures", 4)
	s.exact("/holiday pictures/sunset over the bay", 9, "an alert picture under a Rock Ridge name")
	known, copied, nobody := s.album.alert[10], s.altered(11, reencoded), s.album.next()
	content, err := zipped(part{known.as("trip/first"), known.data}, part{"trip/second.jpg", copied.data}, part{nobody.as("trip/third"), nobody.data})
	s.packed("/holiday pictures/trip.zip", "an archive on a disc", content, err,
		member{known.as("trip/first"), AlertExact, "an alert picture in an archive"},
		member{"trip/second.jpg", AlertNear, "an alert picture in an archive, " + string(reencoded)},
		member{nobody.as("trip/third"), Unknown, "a picture nobody knows, in an archive"})
	if s.err != nil {
		return nil, fmt.Errorf("draw the ISO 9660 volume: %w", s.err)
	}
	return s.files, nil
}
