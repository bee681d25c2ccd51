package survey

import (
	"tutela/internal/evidence"
)

// unlock looks behind the encryption of a volume, if one of the keys opens it.
func (p *part) unlock(keys evidence.Keys) {}
