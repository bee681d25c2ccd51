package main

import "math"

// sha256 writes FIPS 180-4, 6.2.2, for 16 lanes.
func sha256() string {
	a := newAsm()
	a.swapTable()
	a.sha256Constants()
	a.kernel16(kernel16{name: "sha256x16", constants: "roots", words: 8, steps: 64, bigEndian: true, step: sha256Step})
	return a.String()
}

// sha256Constants writes FIPS 180-4, 4.2.2: 32 bits behind the point of the
// cube roots of the first 64 primes.
func (a *asm) sha256Constants() {
	var roots []uint32
	for n := 2; len(roots) < 64; n++ {
		if isPrime(n) {
			_, fraction := math.Modf(math.Cbrt(float64(n)))
			roots = append(roots, uint32(math.Floor(fraction*(1<<32))))
		}
	}
	a.data("roots", roots...)
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// sha256Step is step n of the 64. T1 is made where h was and the new a follows
// there, e is made where d was, so nothing moves but the roles.
func sha256Step(a *asm, n int) {
	const f, r = scratch, scratch + 1 // and the two above
	at := func(k int) int { return (k + 8 - n%8) % 8 }
	if n >= 16 {
		sha256Schedule(a, n)
	}
	a.add(word+n%16, at(7))
	a.addConstant(n, at(7))
	a.logic(choose, at(4), at(5), at(6), f)
	a.add(f, at(7))
	a.sigma(at(4), r, ror(6), ror(11), ror(25))
	a.add(r, at(7))
	a.add(at(7), at(3))
	a.logic(majority, at(0), at(1), at(2), f)
	a.add(f, at(7))
	a.sigma(at(0), r, ror(2), ror(13), ror(22))
	a.add(r, at(7))
}

// sha256Schedule puts W[n] where W[n-16] was.
func sha256Schedule(a *asm, n int) {
	const r = scratch + 1
	w := func(n int) int { return word + n%16 }
	a.add(w(n-7), w(n))
	a.sigma(w(n-15), r, ror(7), ror(18), shr(3))
	a.add(r, w(n))
	a.sigma(w(n-2), r, ror(17), ror(19), shr(10)) // the youngest comes last
	a.add(r, w(n))
}

// turn is one of the three terms of a sigma.
type turn struct {
	instruction string
	count       int
}

func ror(count int) turn { return turn{"VPRORD", count} }
func shr(count int) turn { return turn{"VPSRLD", count} }

// sigma puts a function of FIPS 180-4, 4.1.2, of x into register r. The two
// registers above r are scratch.
func (a *asm) sigma(x, r int, turns ...turn) {
	for i, t := range turns {
		a.op(t.instruction, bits(t.count), z(x), z(r+i))
	}
	a.logic(parity, r+2, r+1, r, r)
}
