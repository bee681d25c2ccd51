package btrfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"

	"tutela/internal/evidence"
)

const (
	superBytes  = 4 << 10
	superMagic  = "_BHRfS_M"
	systemArray = 811 // chunks that hold the chunk tree, behind the superblock's fields
	systemBytes = 2048

	incompatKnown = 1<<12 - 1 // up to metadata_uuid and raid1c34; zoned is bit 12

	sumCRC32C = 0
	sumSHA256 = 2
	maxSum    = 3
)

var superPlaces = []int64{64 << 10, 64 << 20, 256 << 30}

// superblock is what the reader needs of it (BTRFS "Superblock").
type superblock struct {
	fsid        [16]byte
	root        uint64
	rootLevel   byte
	chunkRoot   uint64
	chunkLevel  byte
	logRoot     uint64
	sumType     uint16
	sector      uint32
	node        uint32
	device      uint64 // its number
	deviceBytes uint64
	system      []byte
}

func findSuperblock(src evidence.Source) (sb superblock, copied bool, err error) {
	err = evidence.ErrNotThis
	for n, at := range superPlaces {
		b := make([]byte, superBytes)
		if at > src.Size()-superBytes {
			break
		}
		if readErr := readFull(src, b, at); readErr != nil {
			if n == 0 {
				err = readErr
			}
			continue
		}
		if string(b[64:72]) != superMagic {
			continue
		}
		sb, parseErr := parseSuperblock(b, at)
		if parseErr == nil {
			return sb, n > 0, nil
		}
		if n == 0 || err == evidence.ErrNotThis {
			err = parseErr
		}
	}
	return sb, false, err
}

func parseSuperblock(b []byte, at int64) (sb superblock, err error) {
	le := binary.LittleEndian
	sb = superblock{
		fsid: [16]byte(b[32:48]),
		root: le.Uint64(b[80:]), rootLevel: b[198],
		chunkRoot: le.Uint64(b[88:]), chunkLevel: b[199],
		logRoot: le.Uint64(b[96:]),
		sumType: le.Uint16(b[196:]),
		sector:  le.Uint32(b[144:]), node: le.Uint32(b[148:]),
		device: le.Uint64(b[201:]), deviceBytes: le.Uint64(b[209:]),
	}
	const metadataUUID = 1 << 10 // incompat: the blocks carry another number than the volume
	if le.Uint64(b[188:])&metadataUUID != 0 {
		sb.fsid = [16]byte(b[571:587])
	}
	switch {
	case !sb.goodSum(b):
		return sb, fmt.Errorf("superblock at byte %d: the checksum is wrong", at)
	case sb.sumType > maxSum:
		return sb, fmt.Errorf("checksum %d not read: %w", sb.sumType, evidence.ErrUnsupported)
	case le.Uint64(b[188:])&^incompatKnown != 0:
		return sb, fmt.Errorf("features %#x not read: %w", le.Uint64(b[188:])&^incompatKnown, evidence.ErrUnsupported)
	case sb.node < 4096 || sb.node > 64<<10 || sb.node&(sb.node-1) != 0 || sb.sector < 512 || sb.sector > 64<<10:
		return sb, fmt.Errorf("superblock at byte %d: nodes of %d bytes, sectors of %d", at, sb.node, sb.sector)
	case le.Uint32(b[160:]) > systemBytes:
		return sb, fmt.Errorf("superblock at byte %d: %d bytes of chunks", at, le.Uint32(b[160:]))
	}
	sb.system = bytes.Clone(b[systemArray : systemArray+le.Uint32(b[160:])])
	return sb, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// goodSum holds what follows the first 32 bytes against the checksum in them. What
// this version does not compute counts as good.
func (sb *superblock) goodSum(b []byte) bool {
	switch sb.sumType {
	case sumCRC32C:
		return crc32.Checksum(b[32:], castagnoli) == binary.LittleEndian.Uint32(b)
	case sumSHA256:
		sum := sha256.Sum256(b[32:])
		return bytes.Equal(sum[:], b[:32])
	}
	return true
}

// Everything but the superblock is addressed logically; chunks say where that
// lies on the devices (BTRFS "Chunk tree").

// chunk is a stretch of logical addresses.
type chunk struct {
	start, length uint64
	profile       uint64
	stripes       []stripe // on this device
	elsewhere     bool     // there are stripes on others
}

type stripe struct{ device, offset uint64 }

// Bits of a chunk's type that say how it lies on the devices.
var profiles = []struct {
	bit  uint64
	name string
}{{1 << 3, "raid0"}, {1 << 6, "raid10"}, {1 << 7, "raid5"}, {1 << 8, "raid6"}}

const (
	chunkBytes  = 48
	stripeBytes = 32
	maxChunks   = 1 << 20
)

func (fs *FileSystem) parseChunk(start uint64, b []byte) (c chunk, length int, err error) {
	le := binary.LittleEndian
	if len(b) < chunkBytes {
		return c, 0, fmt.Errorf("a chunk of %d bytes", len(b))
	}
	n := int(le.Uint16(b[44:]))
	length = chunkBytes + n*stripeBytes
	c = chunk{start: start, length: le.Uint64(b), profile: le.Uint64(b[24:])}
	if n == 0 || length > len(b) || c.length == 0 || c.start+c.length < c.start {
		return c, 0, fmt.Errorf("chunk at %d: %d stripes, %d bytes", start, n, c.length)
	}
	for i := range n {
		s := b[chunkBytes+i*stripeBytes:]
		if le.Uint64(s) == fs.sb.device {
			c.stripes = append(c.stripes, stripe{le.Uint64(s), le.Uint64(s[8:])})
		} else {
			c.elsewhere = true
		}
	}
	return c, length, nil
}

// openChunks reads the chunks in the superblock, and with them the tree that
// holds all.
func (fs *FileSystem) openChunks() error {
	for b := fs.sb.system; len(b) >= keyBytes; {
		k := parseKey(b)
		c, length, err := fs.parseChunk(k.offset, b[keyBytes:])
		if err != nil || k.kind != itemChunk {
			return fmt.Errorf("chunks in the superblock: key %v: %v", k, err)
		}
		fs.chunks = append(fs.chunks, c)
		b = b[keyBytes+length:]
	}
	fs.sortChunks()
	root, err := fs.node(fs.sb.chunkRoot, fs.sb.chunkLevel)
	if err != nil {
		return fmt.Errorf("chunk tree: %w", err)
	}
	var all []chunk
	err = fs.scan(root, key{}, maxKey, func(k key, b []byte) error {
		if k.kind != itemChunk {
			return nil
		}
		c, _, err := fs.parseChunk(k.offset, b)
		if err == nil && len(all) == maxChunks {
			err = errLimit
		}
		all = append(all, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("chunk tree: %w", err)
	}
	fs.chunks = all
	fs.sortChunks()
	return nil
}

func (fs *FileSystem) sortChunks() {
	sort.Slice(fs.chunks, func(i, j int) bool { return fs.chunks[i].start < fs.chunks[j].start })
}

// places are where a logical stretch lies on this device: one for each copy. Its
// length is cut to the chunk's.
func (fs *FileSystem) places(logical, length uint64) (at []int64, most uint64, err error) {
	i := sort.Search(len(fs.chunks), func(i int) bool { return fs.chunks[i].start > logical }) - 1
	if i < 0 || logical-fs.chunks[i].start >= fs.chunks[i].length {
		return nil, 0, fmt.Errorf("no chunk holds address %d", logical)
	}
	c := &fs.chunks[i]
	for _, p := range profiles {
		if c.profile&p.bit != 0 {
			return nil, 0, fmt.Errorf("%s profile not read: %w", p.name, evidence.ErrUnsupported)
		}
	}
	within := logical - c.start
	for _, s := range c.stripes {
		if end := s.offset + c.length; s.offset < 1<<62 && end < 1<<62 && end > s.offset {
			at = append(at, int64(s.offset+within))
		}
	}
	if len(at) == 0 {
		return nil, 0, fmt.Errorf("address %d lies on another device: not read: %w", logical, evidence.ErrUnsupported)
	}
	return at, min(length, c.length-within), nil
}
