package demo

import "bytes"

// The first records of the MFT belong to the file system; 12 to 23 are
// reserved.
const (
	recordMFT       = 0
	recordMirror    = 1
	recordRoot      = 5
	recordBitmap    = 6
	recordSecure    = 9
	recordLastNamed = 11
	recordLastUsed  = 15
	firstFile       = 24
)

// addSystem makes records 0 to 23. Those that depend on the files ($MFT,
// $MFTMirr, $Bitmap and the root directory) are completed by finish.
func (v *ntfsVolume) addSystem() error {
	boot, err := v.take(bootSize) // the first clusters; written last
	if err != nil {
		return err
	}
	log, err := v.store(bytes.Repeat([]byte{0xff}, logSize))
	if err != nil {
		return err
	}
	definitions, err := v.store(attributeDefinitions())
	if err != nil {
		return err
	}
	upcase, err := v.store(upcaseTable())
	if err != nil {
		return err
	}
	contents := map[int][]attribute{
		2:  {stored(log, logSize)},
		3:  v.volumeAttributes(),
		4:  {stored(definitions, definitionSize*len(definitionTable()))},
		7:  {stored(boot, bootSize)},
		8:  v.badClusters(),
		9:  securityAttributes(),
		10: {stored(upcase, upcaseSize)},
	}
	for number, name := range []string{"$MFT", "$MFTMirr", "$LogFile", "$Volume", "$AttrDef", ".", "$Bitmap",
		"$Boot", "$BadClus", "$Secure", "$UpCase", "$Extend"} {
		n := v.newNode(name, nil)
		n.system, n.attributes = true, contents[number]
	}
	v.adoptSystem()
	v.addReserved()
	return nil
}

// stored is the unnamed $DATA of a system file.
func stored(r run, size int) attribute {
	return attribute{kind: attrData, runs: []run{r}, size: int64(size)}
}

// adoptSystem puts the system files into the root directory, which is in itself.
func (v *ntfsVolume) adoptSystem() {
	root := v.nodes[recordRoot]
	for _, n := range v.nodes {
		n.parent = root
	}
	v.folders["/"] = root
	root.dir = true
	v.nodes[recordSecure].view = true
	v.nodes[recordLastNamed].dir = true
}

// addReserved makes records 12 to 15, in use and empty, and 16 to 23, not in
// use, as mkntfs and Windows leave them.
func (v *ntfsVolume) addReserved() {
	for number := recordLastNamed + 1; number < firstFile; number++ {
		n := v.newNode("", nil)
		n.nameless = true
		n.unused = number > recordLastUsed
		n.attributes = []attribute{resident(attrData, "", nil)}
	}
}

// Sizes of system files, in bytes. A log whose bytes are all set is empty.
const (
	bootSize = 8192
	logSize  = 256 << 10
)

// volumeAttributes are the label and the version, 3.1, of a clean volume.
func (v *ntfsVolume) volumeAttributes() []attribute {
	return []attribute{
		resident(attrVolumeName, "", utf16le(v.geometry.label)),
		resident(attrVolumeInformation, "", []byte{0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0}),
		resident(attrData, "", nil),
	}
}

// badClusters is a map as large as the volume and empty: no cluster is bad.
func (v *ntfsVolume) badClusters() []attribute {
	all := v.geometry.clusters()
	return []attribute{
		resident(attrData, "", nil),
		{kind: attrData, name: "$Bad", runs: []run{{-1, all}}, size: all * clusterSize, unbegun: true},
	}
}

// securityAttributes are a list of security descriptors without any.
func securityAttributes() []attribute {
	return []attribute{
		resident(attrData, "$SDS", nil),
		indexRoot("$SDH", 0, collateSecurityHash, nameRoot(nil)),
		indexRoot("$SII", 0, collateNumber, nameRoot(nil)),
	}
}

const upcaseSize = 2 << 16 // bytes

// upcaseTable is the upper case of every UTF-16 unit.
func upcaseTable() []byte {
	b := make([]byte, 0, upcaseSize)
	for unit := range 1 << 16 {
		b = le.AppendUint16(b, upper(uint16(unit)))
	}
	return b
}

// definition is one line of $AttrDef. max is -1 where nothing bounds the size.
type definition struct {
	name     string
	kind     attributeKind
	rule     uint32 // of collation
	flags    uint32 // 2 indexed, 0x40 resident, 0x80 may be non-resident
	min, max int64  // bytes
}

const definitionSize = 160

// definitionTable is what Windows writes into $AttrDef; the last line is empty.
func definitionTable() []definition {
	return []definition{
		{"$STANDARD_INFORMATION", attrStandardInformation, 0, 0x40, 0x30, 0x48},
		{"$ATTRIBUTE_LIST", 0x20, 0, 0x80, 0, -1},
		{"$FILE_NAME", attrFileName, 0, 0x42, 0x44, 0x242},
		{"$OBJECT_ID", 0x40, 0, 0x40, 0, 0x100},
		{"$SECURITY_DESCRIPTOR", 0x50, 0, 0x80, 0, -1},
		{"$VOLUME_NAME", attrVolumeName, 0, 0x40, 2, 0x100},
		{"$VOLUME_INFORMATION", attrVolumeInformation, 0, 0x40, 12, 12},
		{"$DATA", attrData, 0, 0, 0, -1},
		{"$INDEX_ROOT", attrIndexRoot, 0, 0x40, 0, -1},
		{"$INDEX_ALLOCATION", attrIndexAllocation, 0, 0x80, 0, -1},
		{"$BITMAP", attrBitmap, 0, 0x80, 0, -1},
		{"$REPARSE_POINT", 0xc0, 0, 0x80, 0, 0x4000},
		{"$EA_INFORMATION", 0xd0, 0, 0x40, 8, 8},
		{"$EA", 0xe0, 0, 0, 0, 0x10000},
		{"$LOGGED_UTILITY_STREAM", 0x100, 0, 0x80, 0, 0x10000},
		{},
	}
}

func attributeDefinitions() []byte {
	var b []byte
	for _, d := range definitionTable() {
		line := make([]byte, definitionSize)
		copy(line, utf16le(d.name))
		le.PutUint32(line[128:], uint32(d.kind))
		le.PutUint32(line[136:], d.rule)
		le.PutUint32(line[140:], d.flags)
		le.PutUint64(line[144:], uint64(d.min))
		le.PutUint64(line[152:], uint64(d.max))
		b = append(b, line...)
	}
	return b
}
