package tutela

// ClockCheck is the detail of a clock-check event: how the clock of the lab's
// machine stood to those of others when a head of the log was stamped, or that it
// was set while a scan ran. The lab's clock is never evidence alone; this is what
// it can be corrected by.
type ClockCheck struct {
	Head        uint64           `json:"head,omitempty"`    // entries of the head that was to be stamped
	Authorities []AuthorityClock `json:"authorities"`       // that were asked
	Jump        int64            `json:"jump_ms,omitempty"` // above zero forward: the clock was set, or the machine slept
}

// AuthorityClock is what one time-stamping authority said of the lab's clock: it
// was ahead of the authority's by Low to High milliseconds, behind where they are
// below zero.
type AuthorityClock struct {
	Address  string `json:"address"`
	Low      *int64 `json:"low_ms,omitempty"` // absent if it gave no stamp
	High     *int64 `json:"high_ms,omitempty"`
	Verified bool   `json:"verified"`         // its stamp leads to a root that the policy names
	Failed   string `json:"failed,omitempty"` // why there is no stamp
}
