package main

import (
	"fmt"
	"math"
)

// md5 writes RFC 1321 for 16 lanes and for 8. The kernels differ in how they
// load and in what a step costs; the order of the 64 steps is shared.
func md5() string {
	a := newAsm()
	a.md5Constants()
	a.kernel16(kernel16{name: "md5x16", constants: "sines", words: 4, steps: 64, step: md5Step16})
	a.md5x8()
	return a.String()
}

// md5Constants writes the sine table of RFC 1321, 3.4, and the lane bits.
func (a *asm) md5Constants() {
	var sines [64]uint32
	for i := range sines {
		sines[i] = uint32(math.Floor(math.Abs(math.Sin(float64(i+1))) * (1 << 32)))
	}
	a.data("sines", sines[:]...)
	a.data("bits", 1, 2, 4, 8, 16, 32, 64, 128)
}

// md5Step describes one of the 64 steps: a = b + (a + F(b,c,d) + X[word] + T[n]) <<< shift.
type md5Step struct {
	round, word, shift int
	a, b, c, d         int // state registers in this step's roles
}

func newMD5Step(n int) md5Step {
	shifts := [4][4]int{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}
	mul, add := [4]int{1, 5, 3, 7}, [4]int{0, 1, 5, 0}
	r := n / 16
	at := func(k int) int { return (k - n%4 + 4) % 4 }
	return md5Step{r, (mul[r]*n + add[r]) % 16, shifts[r][n%4], at(0), at(1), at(2), at(3)}
}

// md5Functions are F, G, H and I of RFC 1321, 3.4.
var md5Functions = [4]boolean{
	choose,
	func(b, c, d bool) bool { return choose(d, b, c) },
	parity,
	func(b, c, d bool) bool { return c != (b || !d) },
}

func md5Step16(a *asm, n int) {
	const f = scratch
	s := newMD5Step(n)
	a.add(word+s.word, s.a)
	a.addConstant(n, s.a)
	a.logic(md5Functions[s.round], s.b, s.c, s.d, f)
	a.add(f, s.a)
	a.rol(s.shift, s.a, s.a)
	a.add(s.b, s.a)
}

// AVX2: Y0-3 state, Y4-7 state before the block, Y8-11 rows and scratch,
// Y12-14 scratch, Y15 ones. The block's words lie on the stack.
func (a *asm) md5x8() {
	a.begin("md5x8", "sines", 512)
	a.op("VPCMPEQD", y(15), y(15), y(15))
	for i := range 4 {
		a.op("VMOVDQU", stateWord(i), y(i))
	}
	a.f("\nloop:")
	for i := range 4 {
		a.op("VMOVDQA", y(i), y(4+i))
	}
	a.load8(0)
	for n := range 64 {
		if n%4 == 0 && n < 12 {
			a.load8(n/4 + 1)
		}
		a.md5Step8(n)
	}
	for i := range 4 {
		a.op("VPADDD", y(4+i), y(i), y(i))
	}
	a.op("ADDQ", "$64", base)
	a.op("DECQ", blocks)
	a.op("JNZ", "loop")
	a.f("")
	a.storeChosen8()
	a.op("VZEROUPPER")
	a.op("RET")
}

// storeChosen8 stores the state of the lanes in mask.
func (a *asm) storeChosen8() {
	a.op("MOVL", "mask+24(FP)", "AX")
	a.op("VMOVD", "AX", x(8))
	a.op("VPBROADCASTD", x(8), y(8))
	a.op("VMOVDQU", "bits<>+0(SB)", y(9))
	a.op("VPAND", y(9), y(8), y(8))
	a.op("VPCMPEQD", y(9), y(8), y(8))
	for i := range 4 {
		a.op("VPMASKMOVD", y(i), y(8), stateWord(i))
	}
}

// load8 is load16's sibling: rows s and 4+s share a register.
func (a *asm) load8(piece int) {
	rows := [4]string{y(8), y(9), y(10), y(11)}
	for s := range 4 {
		a.op("MOVL", fmt.Sprintf("%d(%s)", 4*s, offsets), "AX")
		a.op("VMOVDQU", row("AX", piece), x(8+s))
		a.op("MOVL", fmt.Sprintf("%d(%s)", 4*(4+s), offsets), "AX")
		a.op("VINSERTI128", "$1", row("AX", piece), rows[s], rows[s])
	}
	// The last scratch register is a row's: it is read for the last time there.
	a.transpose4(rows, [4]string{y(12), y(13), y(14), y(8)}, [4]string{y(9), y(10), y(11), y(12)})
	for w := range 4 {
		a.op("VMOVDQU", y(9+w), word8(4*piece+w))
	}
}

func word8(n int) string { return fmt.Sprintf("%d(SP)", 32*n) }

func (a *asm) md5Step8(n int) {
	const f, g = 8, 9
	s := newMD5Step(n)
	a.op("VPADDD", word8(s.word), y(s.a), y(s.a))
	a.op("VPBROADCASTD", constant(n), y(g))
	a.op("VPADDD", y(g), y(s.a), y(s.a))
	switch s.round { // with as little as possible after b, which comes last
	case 0:
		a.op("VPXOR", y(s.c), y(s.d), y(f))
		a.op("VPAND", y(s.b), y(f), y(f))
		a.op("VPXOR", y(s.d), y(f), y(f))
	case 1:
		a.op("VPANDN", y(s.c), y(s.d), y(g))
		a.op("VPADDD", y(g), y(s.a), y(s.a)) // the halves of G share no bit: add for or
		a.op("VPAND", y(s.b), y(s.d), y(f))
	case 2:
		a.op("VPXOR", y(s.c), y(s.d), y(f))
		a.op("VPXOR", y(s.b), y(f), y(f))
	case 3:
		a.op("VPXOR", y(15), y(s.d), y(f))
		a.op("VPOR", y(s.b), y(f), y(f))
		a.op("VPXOR", y(s.c), y(f), y(f))
	}
	a.op("VPADDD", y(f), y(s.a), y(s.a))
	a.op("VPSLLD", bits(s.shift), y(s.a), y(g))
	a.op("VPSRLD", bits(32-s.shift), y(s.a), y(s.a))
	a.op("VPOR", y(g), y(s.a), y(s.a))
	a.op("VPADDD", y(s.b), y(s.a), y(s.a))
}
