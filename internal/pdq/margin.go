package pdq

// Margin is by how many bits more than [MaxRadius] a hash that was made at a
// scale (tutela.Perceptual.Scale) is searched for, so that no match of the exact
// hash is lost. It is 0 for exact hashes, which are those of scale 1 too. Package
// picture, which makes the others, keeps within it.
func Margin(scale int) int {
	if scale <= 1 {
		return 0
	}
	return 16
}
