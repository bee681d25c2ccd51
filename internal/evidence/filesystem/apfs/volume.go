package apfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"tutela"
)

// Features and flags of a volume (Reference "Volume Incompatible Feature Flags",
// "Volume Flags").
const (
	volumeCaseInsensitive          = 0x01
	volumeDatalessSnapshots        = 0x02
	volumeEncryptionRolled         = 0x04
	volumeNormalizationInsensitive = 0x08
	volumeIncompleteRestore        = 0x10
	volumeSealed                   = 0x20
	volumePerFileKeys              = 0x40
	volumeSecondTree               = 0x100

	knownVolumeFeatures = volumeCaseInsensitive | volumeDatalessSnapshots | volumeEncryptionRolled |
		volumeNormalizationInsensitive | volumeIncompleteRestore | volumeSealed

	volumeUnencrypted = 0x01
)

// maxSnapshots are read of one volume. macOS keeps a day of hours and some more.
const maxSnapshots = 1000

var (
	volumeMagic = [4]byte{'A', 'P', 'S', 'B'}
	roleNames   = map[uint16]string{
		0x01: "system", 0x02: "user", 0x04: "recovery", 0x08: "virtual memory", 0x10: "preboot", 0x20: "installer",
		0x40: "data", 0x80: "baseband", 0xc0: "update", 0x100: "xART", 0x140: "hardware", 0x180: "backup",
		0x240: "enterprise", 0x2c0: "prelogin",
	}
)

// volume is a volume superblock (Reference "apfs_superblock_t").
type volume struct {
	oid, xid     uint64
	block        uint64
	name         []byte // raw bytes
	role         uint16
	incompatible uint64
	flags        uint64
	objectMap    uint64
	rootTree     uint64
	rootKind     uint32
	snapshotTree uint64
	mountedFrom  uint64 // transaction of the snapshot that is mounted in its place, or 0
	integrity    uint64 // object of a sealed volume that has the hash of its tree
	extentTree   uint64 // of a sealed volume
	extentKind   uint32
	rolling      bool // encryption is being changed

	prefix  string // of every path: "" or "/name"
	problem error  // why it is not read
}

// openVolume reads the superblock of a volume as a container's object map has it.
func openVolume(m *objectMap, oid uint64) (*volume, error) {
	o, err := m.object(oid, typeVolume, fmt.Sprintf("superblock of volume %d", oid))
	if err != nil {
		return nil, err
	}
	if [4]byte(o.raw[32:]) != volumeMagic {
		return nil, damaged("superblock of volume %d: block %d holds something else", oid, o.block)
	}
	return parseVolume(o), nil
}

func parseVolume(o *object) *volume {
	b := o.raw
	name, _, _ := bytes.Cut(b[704:960], []byte{0})
	return &volume{
		oid: o.oid, xid: o.xid, block: o.block, name: bytes.Clone(name), role: little.Uint16(b[964:]),
		incompatible: little.Uint64(b[56:]), flags: little.Uint64(b[264:]),
		objectMap: little.Uint64(b[128:]), rootTree: little.Uint64(b[136:]), rootKind: little.Uint32(b[116:]),
		snapshotTree: little.Uint64(b[152:]), rolling: little.Uint64(b[976:]) != 0,
		mountedFrom: little.Uint64(b[968:]), integrity: little.Uint64(b[1024:]), extentTree: little.Uint64(b[1032:]), extentKind: little.Uint32(b[1040:]),
	}
}

// openVolumes reads what the container has and gives each a place of its own.
func (fs *FileSystem) openVolumes() error {
	m, err := openMap(newNodes(&fs.container), fs.checkpoint.objectMap, fs.checkpoint.xid, "object map of the container")
	if err != nil {
		return err
	}
	for _, oid := range fs.checkpoint.volumes {
		v, err := openVolume(m, oid)
		if err != nil {
			v = &volume{oid: oid, problem: err}
		}
		fs.volumes = append(fs.volumes, v)
	}
	if len(fs.volumes) > 1 {
		fs.nameVolumes()
	}
	return nil
}

// nameVolumes gives each volume a folder: its name, with its number behind it
// where another has that name already.
func (fs *FileSystem) nameVolumes() {
	taken := map[string]bool{}
	for i, v := range fs.volumes {
		name := strings.ReplaceAll(string(v.name), "/", ":")
		if name == "" || name == "." || name == ".." {
			name = fmt.Sprintf("volume %d", i+1)
		}
		for taken[name] {
			name += fmt.Sprintf(" (volume %d)", i+1)
		}
		taken[name] = true
		v.prefix = "/" + name
	}
}

// at is the volume in a locator.
func (v *volume) at() string { return fmt.Sprintf("volume %d", v.oid) }

func (v *volume) encrypted() bool { return v.flags&volumeUnencrypted == 0 }

// hashed reports whether the keys of directory records hold a hash of the name
// (Reference "j_drec_hashed_key_t").
func (v *volume) hashed() bool {
	return v.incompatible&(volumeCaseInsensitive|volumeNormalizationInsensitive) != 0
}

// unreadable is an error that names why nothing of the volume is listed.
func (v *volume) unreadable() error {
	unknown := v.incompatible &^ knownVolumeFeatures
	switch {
	case v.problem != nil:
		return v.problem
	case unknown&volumePerFileKeys != 0:
		return &flaw{tutela.FindingUnsupported, "volumes with a key for each file are not read"}
	case unknown&volumeSecondTree != 0:
		return &flaw{tutela.FindingUnsupported, "volumes with a second file-system tree are not read"}
	case unknown != 0:
		return &flaw{tutela.FindingUnsupported, fmt.Sprintf("unknown features %#x of the volume", unknown)}
	}
	return nil
}

// secret says how the volume is encrypted.
func (v *volume) secret(softwareKeys bool) tutela.Finding {
	how := "by the hardware of the computer (T2, Apple silicon, iOS) or FileVault"
	if softwareKeys {
		how = "in software (FileVault)"
	}
	return tutela.Finding{Code: tutela.FindingEncrypted, Detail: fmt.Sprintf("the volume %q is encrypted %s and cannot be read without its key: none of its files is listed", v.name, how)}
}

// fileTree opens the tree of the volume's files as it was at a checkpoint.
func (v *volume) fileTree(nodes *nodes, xid uint64) (*tree, error) {
	m, err := openMap(nodes, v.objectMap, xid, "object map of "+v.at())
	if err != nil {
		return nil, err
	}
	return v.treeIn(m)
}

// treeIn is fileTree by way of an object map.
func (v *volume) treeIn(m *objectMap) (*tree, error) {
	root, err := m.find(v.rootTree)
	if err != nil {
		return nil, err
	}
	if v.rootKind&storageMask != storageVirtual || root.flags&mappingNoHeader != 0 && !v.sealed() {
		return nil, &flaw{tutela.FindingUnsupported, "a file-system tree of this kind is not read"}
	}
	t := &tree{
		nodes: m.tree.nodes, name: "file-system tree of " + v.at(), root: root.place,
		subtype: typeFileTree, storage: storageVirtual, order: identifier, child: m.place,
	}
	if v.sealed() {
		return t, v.unseal(t, m)
	}
	return t, nil
}

func (v *volume) sealed() bool { return v.incompatible&volumeSealed != 0 }

const (
	sealBroken = 0x01
	hashSHA256 = 1
)

// unseal makes a tree one of a sealed volume: what its root hashes to, and where
// the extents are (Reference "integrity_meta_phys_t").
func (v *volume) unseal(t *tree, m *objectMap) error {
	o, err := m.object(v.integrity, typeIntegrity, "seal of "+v.at())
	if err != nil {
		return err
	}
	flags, hash, offset := little.Uint32(o.raw[36:]), little.Uint32(o.raw[40:]), uint64(little.Uint32(o.raw[44:]))
	switch {
	case hash != hashSHA256:
		return &flaw{tutela.FindingUnsupported, fmt.Sprintf("a volume sealed with hashes of kind %d is not read", hash)}
	case offset > uint64(len(o.raw)-sha256.Size):
		return damaged("seal of %s: the hash is not in it", v.at())
	}
	t.hashed, t.root.hash = true, [sha256.Size]byte(o.raw[offset:])
	t.extents = &tree{
		nodes: m.tree.nodes, name: "extents of " + v.at(), root: place{block: v.extentTree, oid: v.extentTree, xid: m.xid},
		subtype: typeExtents, storage: storagePhysical, keySize: 16, valueSize: 16, order: numbers, child: physicalChild(m.xid),
	}
	if v.extentKind&storageMask == storageVirtual {
		t.extents.storage, t.extents.child = storageVirtual, m.place
		if t.extents.root, err = m.place(v.extentTree); err != nil {
			return err
		}
	}
	_, err = t.node(t.root, -1)
	if err != nil && flags&sealBroken != 0 {
		return &flaw{tutela.FindingUnsupported, "the volume was changed after it was sealed: its tree is not read"}
	}
	return err
}

// snapshot is a state of a volume that somebody asked to be kept.
type snapshot struct {
	xid   uint64
	block uint64 // of the volume superblock of then
	name  string // for people
	made  time.Time
}

func (s snapshot) String() string {
	return fmt.Sprintf("snapshot %q of transaction %d, made %s", s.name, s.xid, s.made.Format(time.RFC3339))
}

// parseSnapshot reads a snapshot record (Reference "j_snap_metadata_val_t").
func parseSnapshot(key, value []byte) (snapshot, error) {
	xid := identifier(key)[0]
	if len(value) < 50 {
		return snapshot{}, damaged("the record of snapshot %d is cut short", xid)
	}
	name, _, _ := bytes.Cut(value[50:min(len(value), 50+int(little.Uint16(value[48:])))], []byte{0})
	return snapshot{xid, little.Uint64(value[8:]), tutela.DisplayPath(name), stamp(little.Uint64(value[16:]))}, nil
}

// snapshots are those of the volume, the oldest first, and what could not be
// read of them.
func (v *volume) snapshots(nodes *nodes, xid uint64) (all []snapshot, problems []error) {
	if v.snapshotTree == 0 {
		return nil, nil
	}
	t := &tree{
		nodes: nodes, name: "snapshots of " + v.at(), root: place{block: v.snapshotTree, oid: v.snapshotTree, xid: xid},
		subtype: typeSnapshots, storage: storagePhysical, order: identifier, child: physicalChild(xid),
	}
	bad := func(err error) { problems = append(problems, err) }
	err := t.scan(context.Background(), map[uint64]bool{}, func(key, value []byte) error {
		if identifier(key)[1] != recordSnapshot {
			return nil
		}
		s, err := parseSnapshot(key, value)
		switch {
		case err != nil:
			bad(err)
		case len(all) == maxSnapshots:
			return &flaw{tutela.FindingLimit, fmt.Sprintf("more than %d snapshots", maxSnapshots)}
		default:
			all = append(all, s)
		}
		return nil
	}, bad, bad)
	if err != nil {
		bad(err)
	}
	return all, problems
}

// treeOf is the volume's tree as a snapshot keeps it. The object map of today has
// what snapshots need; their own superblock names the root.
func (v *volume) treeOf(nodes *nodes, s snapshot, today uint64) (*tree, error) {
	o, err := nodes.object(s.block, nodes.blockSize)
	if err != nil {
		return nil, fmt.Errorf("its superblock: %w", err)
	}
	if o.kind&typeMask != typeVolume || [4]byte(o.raw[32:]) != volumeMagic || o.oid != s.block && o.oid != v.oid {
		return nil, damaged("its superblock: block %d holds something else", s.block)
	}
	m, err := openMap(nodes, v.objectMap, today, "object map of "+v.at())
	if err != nil {
		return nil, err
	}
	m.xid = s.xid
	then := parseVolume(o)
	then.oid = v.oid
	t, err := then.treeIn(m)
	if err != nil {
		return nil, err
	}
	_, err = t.node(t.root, -1)
	return t, err
}

// stamp is a time in nanoseconds since 1970 (signed, as files before that year
// show).
func stamp(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)).UTC()
}
