#include "textflag.h"

// How many lists ahead of the one that is looked through memory is asked for,
// and how many bytes of a list at most.
#define AHEAD 12
#define SPAN 24
#define MOST 1024

// A filter stops when fewer than 16 of its 128 hits are free.
#define HITS (128-16)*8

// R0 postings, R1 the span, R2 spans left, R3 where the next hit goes, R4 where
// hits must stop; of the list R5 the number of the signature, R6 how many are
// left, R7 their address; R12 signature, R13 limit.

// PUT puts down the hits of the eight bytes in r, which are all ones or zeros,
// from the signature off behind R5 on.
#define PUT(r, off, loop, done) \
	AND $0x0101010101010101, r, r \
	CBZ r, done \
loop: \
	RBIT r, R10 \
	CLZ  R10, R10 \
	ADD  R10>>3, R5, R10 \
	ADD  $off, R10, R10 \
	MOVD.P R10, 8(R3) \
	SUB  $1, r, R10 \
	AND  R10, r, r \
	CBNZ r, loop \
done:

// func filterNEON(postings *byte, spans *span, count int, hits *[128]uint64) (done, found int)
TEXT ·filterNEON(SB), NOSPLIT, $0-48
	MOVD postings+0(FP), R0
	MOVD spans+8(FP), R1
	MOVD count+16(FP), R2
	MOVD hits+24(FP), R3
	ADD  $HITS, R3, R4

next:
	CMP  $(AHEAD+1), R2
	BLT  asked
	MOVD (AHEAD*SPAN)(R1), R5
	MOVWU (AHEAD*SPAN+8)(R1), R6
	ADD  R5<<2, R0, R5
	ADD  R6<<2, R5, R6
	ADD  $MOST, R5, R7
	CMP  R7, R6
	CSEL HI, R7, R6, R6
ask:
	PRFM (R5), PLDL1KEEP
	ADD  $64, R5, R5
	CMP  R6, R5
	BLO  ask
asked:
	MOVD 0(R1), R5
	MOVWU 8(R1), R6
	MOVWU 12(R1), R12
	MOVWU 16(R1), R13
	ADD  R5<<2, R0, R7
	VDUP R12, V16.S4
	VDUP R13, V17.B16

sixteen:
	CMP  $16, R6
	BLT  rest
	VLD1.P 64(R7), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR V16.B16, V0.B16, V0.B16
	VEOR V16.B16, V1.B16, V1.B16
	VEOR V16.B16, V2.B16, V2.B16
	VEOR V16.B16, V3.B16, V3.B16
	VCNT V0.B16, V0.B16
	VCNT V1.B16, V1.B16
	VCNT V2.B16, V2.B16
	VCNT V3.B16, V3.B16
	// Neighbours added twice: one byte for each of 16 signatures.
	VADDP V1.B16, V0.B16, V0.B16
	VADDP V3.B16, V2.B16, V2.B16
	VADDP V2.B16, V0.B16, V0.B16
	// All ones where the count is the lesser of itself and the limit.
	VUMIN V17.B16, V0.B16, V1.B16
	VCMEQ V1.B16, V0.B16, V0.B16
	VMOV V0.D[0], R8
	VMOV V0.D[1], R9
	ORR  R8, R9, R10
	CBNZ R10, hit
more:
	ADD  $16, R5, R5
	SUB  $16, R6, R6
	B    sixteen

hit:
	PUT(R8, 0, low, high)
	PUT(R9, 8, upper, put)
	CMP  R4, R3
	BLS  more
	// Full: the span goes on behind these.
	ADD  $16, R5, R5
	SUB  $16, R6, R6
	MOVD R5, 0(R1)
	MOVW R6, 8(R1)
	B    end

rest:
	// At most 15 hits, which fit: hits stop at 16 free.
	CBZ  R6, after
	MOVWU.P 4(R7), R8
	EOR  R12, R8, R8
	FMOVS R8, F0
	VCNT V0.B8, V0.B8
	VUADDLV V0.B8, V0
	VMOV V0.H[0], R8
	MOVD R5, (R3)
	ADD  $8, R3, R10
	CMP  R13, R8
	CSEL LS, R10, R3, R3
	ADD  $1, R5, R5
	SUB  $1, R6, R6
	B    rest

after:
	ADD  $SPAN, R1, R1
	SUB  $1, R2, R2
	CBZ  R2, end
	CMP  R4, R3
	BLS  next

end:
	MOVD count+16(FP), R5
	SUB  R2, R5, R5
	MOVD R5, done+32(FP)
	MOVD hits+24(FP), R5
	SUB  R5, R3, R3
	LSR  $3, R3, R3
	MOVD R3, found+40(FP)
	RET

// DIFFER counts, in each byte, the bits in which two hashes differ from the
// query in V16 and V17.
#define DIFFER(h0, h1, t) \
	VEOR V16.B16, h0.B16, t.B16 \
	VEOR V17.B16, h1.B16, V26.B16 \
	VORR V26.B16, t.B16, t.B16 \
	VCNT t.B16, t.B16

// The bit of each of eight hashes in a byte of marks.
DATA places<>+0(SB)/8, $0x8040201008040201
DATA places<>+8(SB)/8, $0x8040201008040201
GLOBL places<>(SB), RODATA|NOPTR, $16

// func sweepNarrowNEON(b *block, group *[8]tutela.PDQ, m *marks) bool
TEXT ·sweepNarrowNEON(SB), NOSPLIT, $0-25
	MOVD b+0(FP), R0
	MOVD group+8(FP), R1
	MOVD m+16(FP), R2
	MOVD $places<>(SB), R3
	VLD1 (R3), [V30.B16]
	MOVD $31, R3
	VDUP R3, V28.B16
	MOVD $32, R4
	MOVD ZR, R5

sixteen:
	// V0 to V7 the first words of 16 hashes, V8 to V15 the second.
	ADD  $4096, R0, R6
	VLD1.P 64(R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P 64(R0), [V4.B16, V5.B16, V6.B16, V7.B16]
	VLD1.P 64(R6), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1.P 64(R6), [V12.B16, V13.B16, V14.B16, V15.B16]
	// The least count so far of each.
	VCMEQ V27.B16, V27.B16, V27.B16
	MOVD R1, R7
	MOVD $8, R8

query:
	VLD1R (R7), [V16.D2]
	ADD  $8, R7, R9
	VLD1R (R9), [V17.D2]
	ADD  $32, R7, R7
	DIFFER(V0, V8, V18)
	DIFFER(V1, V9, V19)
	DIFFER(V2, V10, V20)
	DIFFER(V3, V11, V21)
	DIFFER(V4, V12, V22)
	DIFFER(V5, V13, V23)
	DIFFER(V6, V14, V24)
	DIFFER(V7, V15, V25)
	// Neighbours added three times: one byte for each of 16 hashes.
	VADDP V19.B16, V18.B16, V18.B16
	VADDP V21.B16, V20.B16, V20.B16
	VADDP V23.B16, V22.B16, V22.B16
	VADDP V25.B16, V24.B16, V24.B16
	VADDP V20.B16, V18.B16, V18.B16
	VADDP V24.B16, V22.B16, V22.B16
	VADDP V22.B16, V18.B16, V18.B16
	VUMIN V18.B16, V27.B16, V27.B16
	SUB  $1, R8, R8
	CBNZ R8, query

	VUMIN V28.B16, V27.B16, V29.B16
	VCMEQ V29.B16, V27.B16, V29.B16
	VAND V30.B16, V29.B16, V29.B16
	VADDP V29.B16, V29.B16, V29.B16
	VADDP V29.B16, V29.B16, V29.B16
	VADDP V29.B16, V29.B16, V29.B16
	VMOV V29.H[0], R9
	MOVH.P R9, 2(R2)
	ORR  R9, R5, R5
	SUB  $1, R4, R4
	CBNZ R4, sixteen

	CMP  ZR, R5
	CSET NE, R5
	MOVB R5, ret+24(FP)
	RET
