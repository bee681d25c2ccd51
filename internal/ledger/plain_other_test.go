//go:build !unix

package ledger

var logKinds = []logKind{plainKind}
