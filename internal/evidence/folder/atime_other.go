//go:build unix && !linux && !aix && !solaris

package folder

const noAccessTime = 0 // only Linux can leave access times alone
