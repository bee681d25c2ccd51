//go:build !unix || aix || solaris

package folder

func openDirectory(path string) (directory, error) { return openRootDirectory(path) }
