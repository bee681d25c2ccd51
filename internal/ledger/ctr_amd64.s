#include "textflag.h"

// SPREAD does to a round key what FIPS 197, 5.2, does word by word: each word
// becomes the XOR of itself and those before it, and of t.
#define SPREAD(key, t) \
	VPSLLDQ $4, key, X3   \
	VPXOR   X3, key, key  \
	VPSLLDQ $4, X3, X3    \
	VPXOR   X3, key, key  \
	VPSLLDQ $4, X3, X3    \
	VPXOR   X3, key, key  \
	VPXOR   t, key, key

// EVEN makes the next even round key, in X0, of X0 and X1, and copies it into
// all four blocks of a register; ODD makes the next odd one, in X1.
#define EVEN(rcon, z) \
	VAESKEYGENASSIST $rcon, X1, X2 \
	VPSHUFD          $0xff, X2, X2 \
	SPREAD(X0, X2)                 \
	VSHUFI32X4       $0, Z0, Z0, z

#define ODD(z) \
	VAESKEYGENASSIST $0, X0, X2    \
	VPSHUFD          $0xaa, X2, X2 \
	SPREAD(X1, X2)                 \
	VSHUFI32X4       $0, Z1, Z1, z

#define ROUND(key) \
	VAESENC key, Z4, Z4 \
	VAESENC key, Z5, Z5 \
	VAESENC key, Z6, Z6 \
	VAESENC key, Z7, Z7

// func encryptPieces(key *[32]byte, pieces *byte, n int)
TEXT ·encryptPieces(SB), NOSPLIT, $0-24
	MOVQ       key+0(FP), AX
	MOVQ       pieces+8(FP), SI
	MOVQ       n+16(FP), CX
	VMOVDQU    (AX), X0
	VMOVDQU    16(AX), X1
	VSHUFI32X4 $0, Z0, Z0, Z16
	VSHUFI32X4 $0, Z1, Z1, Z17
	EVEN(0x01, Z18)
	ODD(Z19)
	EVEN(0x02, Z20)
	ODD(Z21)
	EVEN(0x04, Z22)
	ODD(Z23)
	EVEN(0x08, Z24)
	ODD(Z25)
	EVEN(0x10, Z26)
	ODD(Z27)
	EVEN(0x20, Z28)
	ODD(Z29)
	EVEN(0x40, Z30)

loop:
	VPXORQ      0(SI), Z16, Z4
	VPXORQ      64(SI), Z16, Z5
	VPXORQ      128(SI), Z16, Z6
	VPXORQ      192(SI), Z16, Z7
	ROUND(Z17)
	ROUND(Z18)
	ROUND(Z19)
	ROUND(Z20)
	ROUND(Z21)
	ROUND(Z22)
	ROUND(Z23)
	ROUND(Z24)
	ROUND(Z25)
	ROUND(Z26)
	ROUND(Z27)
	ROUND(Z28)
	ROUND(Z29)
	VAESENCLAST Z30, Z4, Z4
	VAESENCLAST Z30, Z5, Z5
	VAESENCLAST Z30, Z6, Z6
	VAESENCLAST Z30, Z7, Z7
	VMOVDQU64   Z4, 0(SI)
	VMOVDQU64   Z5, 64(SI)
	VMOVDQU64   Z6, 128(SI)
	VMOVDQU64   Z7, 192(SI)
	ADDQ        $256, SI
	DECQ        CX
	JNZ         loop
	VZEROUPPER
	RET
