package survey

import (
	"errors"
	"slices"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock"
)

// unlock looks behind the encryption of a volume, if one of the keys opens it.
// Where none does, the volume is sealed: nobody looks for a file system in it.
func (p *part) unlock(keys evidence.Keys) {
	u, err := guardedUnlock(unlock.Volume, p.src, keys)
	if err == nil {
		p.goBehind(u)
		return
	}
	if errors.Is(err, evidence.ErrNotThis) || p.sealedBy(err) {
		return
	}
	format := nameOnly(p.src)
	if !unlockable(format) {
		return // its beginning could not be read
	}
	p.FileSystem, p.sealed = format, true
	p.find(tutela.FindingEncrypted, format)
	p.find(codeOf(err), err.Error())
}

// unlockRemains looks behind the encryption of a volume that nothing recognises,
// because its header was wiped and a copy was not. It reports whether the volume
// is such.
func (p *part) unlockRemains(keys evidence.Keys) bool {
	if p.unlocked {
		return false
	}
	u, err := guardedUnlock(unlock.Remains, p.src, keys)
	if err != nil {
		return p.sealedBy(err)
	}
	p.goBehind(u)
	return true
}

func (p *part) goBehind(u *unlock.Unlocked) {
	p.src, p.unlocked = u.Source, true
	p.chain = slices.Clip(append(slices.Clone(p.chain), tutela.Locator{Layer: u.Format, At: u.How}))
	p.find(tutela.FindingUnlocked, u.Format+": "+u.How)
	for _, note := range u.Notes {
		p.find(tutela.FindingBackupTable, u.Format+": "+note)
	}
}

// sealedBy reports whether err says that no key opens the volume.
func (p *part) sealedBy(err error) bool {
	locked, ok := errors.AsType[*evidence.LockedError](err)
	if ok {
		p.FileSystem, p.sealed = locked.Format, true
		p.find(tutela.FindingEncrypted, locked.Error())
	}
	return ok
}

// guardedUnlock is open with a panic of it turned into an error.
func guardedUnlock(open func(evidence.Source, evidence.Keys) (*unlock.Unlocked, error), src evidence.Source, keys evidence.Keys) (u *unlock.Unlocked, err error) {
	defer rescue(&err)
	return open(src, keys)
}
