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
	u, err := unlocked(p.src, keys)
	if err == nil {
		p.src, p.unlocked = u.Source, true
		p.chain = slices.Clip(append(slices.Clone(p.chain), tutela.Locator{Layer: u.Format, At: u.How}))
		p.find(tutela.FindingUnlocked, u.Format+": "+u.How)
		for _, note := range u.Notes {
			p.find(tutela.FindingBackupTable, u.Format+": "+note)
		}
		return
	}
	if errors.Is(err, evidence.ErrNotThis) {
		return
	}
	format := nameOnly(p.src)
	if !unlockable(format) {
		return // its beginning could not be read
	}
	p.FileSystem, p.sealed = format, true
	if locked, ok := errors.AsType[*evidence.LockedError](err); ok {
		p.find(tutela.FindingEncrypted, locked.Error())
		return
	}
	p.find(tutela.FindingEncrypted, format)
	p.find(codeOf(err), err.Error())
}

// unlocked is unlock.Volume with a panic of it turned into an error.
func unlocked(src evidence.Source, keys evidence.Keys) (u *unlock.Unlocked, err error) {
	defer rescue(&err)
	return unlock.Volume(src, keys)
}
