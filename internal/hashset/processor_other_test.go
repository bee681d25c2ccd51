//go:build !unix

package hashset

import "time"

// processorTime is not told here.
func processorTime() time.Duration { return 0 }
