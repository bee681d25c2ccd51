package main

import "math"

// sha1 writes FIPS 180-4, 6.1.2, for 16 lanes.
func sha1() string {
	a := newAsm()
	a.swapTable()
	a.sha1Constants()
	a.kernel16(kernel16{name: "sha1x16", constants: "roots", words: 5, steps: 80, bigEndian: true, step: sha1Step})
	return a.String()
}

// sha1Constants writes FIPS 180-4, 4.2.1: the roots of 2, 3, 5 and 10 in units
// of 2⁻³⁰.
func (a *asm) sha1Constants() {
	var roots [4]uint32
	for i, n := range []float64{2, 3, 5, 10} {
		roots[i] = uint32(math.Floor(math.Sqrt(n) * (1 << 30)))
	}
	a.data("roots", roots[:]...)
}

// sha1Functions are those of FIPS 180-4, 4.1.1.
var sha1Functions = [4]boolean{choose, parity, majority, parity}

// sha1Step is step n of the 80. The new a is made where e was, and b becomes c
// where it is, so nothing moves but the roles.
func sha1Step(a *asm, n int) {
	const f, r = scratch, scratch + 1
	at := func(k int) int { return (k + 5 - n%5) % 5 }
	if n >= 16 {
		sha1Schedule(a, n)
	}
	a.add(word+n%16, at(4))
	a.addConstant(n/20, at(4))
	a.logic(sha1Functions[n/20], at(1), at(2), at(3), f)
	a.add(f, at(4))
	a.rol(5, at(0), r)
	a.add(r, at(4))
	a.rol(30, at(1), at(1))
}

// sha1Schedule puts W[n] where W[n-16] was.
func sha1Schedule(a *asm, n int) {
	w := func(n int) int { return word + n%16 }
	a.logic(parity, w(n-14), w(n-8), w(n), w(n))
	a.xor(w(n-3), w(n)) // the youngest comes last
	a.rol(1, w(n), w(n))
}
