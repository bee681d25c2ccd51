package main

import "os"

// statusSignal is nil: Windows has no signal to ask with.
var statusSignal os.Signal
