package main

import (
	"bytes"
	"context"
	"testing"
)

// TestVerifyIsInterrupted: ^C ends the reading of a bundle, and is no verdict.
func TestVerifyIsInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"verify", "../../verify/testdata/good"}, &out, &errs); code != exitInterrupted || out.Len() > 0 {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}
