package tutela

// The details of events about trees that were sealed before. Like all details
// they are encoded in the order of their fields, none of which may be left out.
type (
	// Renew is the detail of EventRenew: a sealed tree was read as a whole, held
	// against its root, and given one under SHA-512 too, which is a fact of the
	// event.
	Renew struct {
		Exhibit string `json:"exhibit"`
		Number  int    `json:"number"` // of the scan
		Run     int    `json:"run"`    // of the match run; 0 where it is the records
		Root    SHA256 `json:"root"`   // that was sealed
		Leaves  uint64 `json:"leaves"`
		Erased  uint64 `json:"erased"` // of them; their hashes are those that were noted when they were erased
	}

	// Repair is the detail of EventRepair: files of a sealed tree were damaged and
	// were made again, and led to the root that was sealed.
	Repair struct {
		Exhibit string       `json:"exhibit"`
		Number  int          `json:"number"`
		Run     int          `json:"run"` // 0 where it is the records
		Root    SHA256       `json:"root"`
		Leaves  uint64       `json:"leaves"`
		Damage  []TreeDamage `json:"damage"` // at most 100
	}

	// TreeDamage is one place at which a file of a tree was not what it was.
	TreeDamage struct {
		File string `json:"file"` // "records", "leaves" or "commit"
		Leaf int64  `json:"leaf"` // −1 where it is about the whole file
		What string `json:"what"` // for people
	}
)
