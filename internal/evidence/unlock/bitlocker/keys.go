package bitlocker

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"tutela/internal/evidence"
)

// Protection types (BDE "Key protection types").
const (
	protectedByNothing  = 0x0000
	protectedByRecovery = 0x0800
	protectedByPassword = 0x2000
)

// protector is a copy of the volume master key and how it is protected.
type protector struct {
	id         []byte // a GUID
	protection uint16
	entries    []entry
}

func (m *metadata) protectors() (all []protector) {
	for _, e := range m.entries {
		if e.kind == kindVMK && e.value == valueVMK && len(e.data) >= 28 {
			all = append(all, protector{e.data[:16], binary.LittleEndian.Uint16(e.data[26:]), readEntries(e.data[28:])})
		}
	}
	return all
}

func (p *protector) String() string {
	switch p.protection {
	case protectedByNothing:
		return "clear key"
	case 0x0100:
		return "tpm"
	case 0x0200:
		return "startup key"
	case 0x0500:
		return "tpm and pin"
	case protectedByRecovery:
		return "recovery password"
	case 0x1000:
		return "smart card"
	case protectedByPassword:
		return "password"
	}
	return fmt.Sprintf("protector of type %#04x", p.protection)
}

// guid writes a GUID as Windows does, so that the key that belongs to it can be
// found.
func (p *protector) guid() string {
	b := p.id
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:16])
}

// unlock finds a key that opens one of the protectors, and gives what the sectors
// are encrypted with.
func (m *metadata) unlock(keys evidence.Keys, times int) (key []byte, how string, err error) {
	all := m.protectors()
	for i := range all {
		if key := m.try(&all[i], all[i].clearKey); key != nil {
			return key, "the clear key on the volume opened it: protection is suspended", nil
		}
	}
	a := attempts{m, all, times}
	if key, how := a.each(protectedByRecovery, "recovery password", keys.RecoveryKeys, recoveryKey); key != nil {
		return key, how, nil
	}
	if key, how := a.each(protectedByPassword, "passphrase", keys.Passphrases, passwordKey); key != nil {
		return key, how, nil
	}
	locked := &evidence.LockedError{Format: format, Tried: a.count(keys)}
	for i := range all {
		name := all[i].String()
		if all[i].protection == protectedByRecovery {
			name += " " + all[i].guid() // tells which of many recovery passwords it is
		}
		locked.Protectors = append(locked.Protectors, name)
	}
	return nil, "", locked
}

// attempts are tries of what the examiner knows.
type attempts struct {
	m     *metadata
	all   []protector
	times int
}

// count is how many keys there was something to try on.
func (a attempts) count(keys evidence.Keys) (n int) {
	if a.has(protectedByRecovery) {
		n += len(keys.RecoveryKeys)
	}
	if a.has(protectedByPassword) {
		n += len(keys.Passphrases)
	}
	return n
}

func (a attempts) has(protection uint16) bool {
	for _, p := range a.all {
		if p.protection == protection {
			return true
		}
	}
	return false
}

// each tries every secret on every protector of a type.
func (a attempts) each(protection uint16, name string, secrets []string, digest func(string) ([32]byte, error)) (key []byte, how string) {
	for n, secret := range secrets {
		initial, err := digest(secret)
		if err != nil {
			continue
		}
		for i := range a.all {
			p := &a.all[i]
			if p.protection != protection {
				continue
			}
			if key := a.m.try(p, func() []byte { return p.stretched(initial, a.times) }); key != nil {
				return key, fmt.Sprintf("%s %d opened protector %s", name, n+1, p.guid())
			}
		}
	}
	return nil, ""
}

// try opens the volume master key with a protector's key, and what the sectors
// are encrypted with by that; nil if that does not fit.
func (m *metadata) try(p *protector, unprotect func() []byte) []byte {
	key := unprotect()
	if key == nil {
		return nil
	}
	master, _, err := unwrap(key, first(p.entries, valueCCM))
	if err != nil || len(master) != 32 {
		return nil
	}
	for _, e := range m.entries {
		if e.kind != kindFVEK || e.value != valueCCM {
			continue
		}
		if key, method, err := unwrap(master, e.data); err == nil && (method == m.method || method>>8 == 0x80) {
			return key
		}
	}
	return nil
}

// clearKey lies on the volume while protection is suspended.
func (p *protector) clearKey() []byte {
	if b := first(p.entries, valueKey); p.protection == protectedByNothing && len(b) == 4+32 {
		return b[4:]
	}
	return nil
}

// stretchings are how often a password is hashed (BDE "Recovery key").
const stretchings = 0x100000

// stretched makes the protector's key out of a password; nil if it has no salt.
func (p *protector) stretched(initial [32]byte, times int) []byte {
	b := first(p.entries, valueStretch)
	if len(b) < 20 {
		return nil
	}
	var state [32 + 32 + 16 + 8]byte
	copy(state[32:], initial[:])
	copy(state[64:], b[4:20])
	for n := range times {
		binary.LittleEndian.PutUint64(state[80:], uint64(n))
		last := sha256.Sum256(state[:])
		copy(state[:], last[:])
	}
	return bytes.Clone(state[:32])
}

var errNoRecoveryPassword = errors.New("not a recovery password")

// recoveryKey reads eight groups of six digits. Each is eleven times a number of
// 16 bits, by which a slip of the pen shows.
func recoveryKey(password string) (sum [32]byte, err error) {
	groups := strings.FieldsFunc(password, func(r rune) bool { return r == '-' || r == ' ' })
	if len(groups) != 8 {
		return sum, errNoRecoveryPassword
	}
	var key [16]byte
	for i, g := range groups {
		n, err := strconv.ParseUint(g, 10, 32)
		if err != nil || len(g) != 6 || n%11 != 0 || n/11 > 0xFFFF {
			return sum, errNoRecoveryPassword
		}
		binary.LittleEndian.PutUint16(key[2*i:], uint16(n/11))
	}
	return sha256.Sum256(key[:]), nil
}

// passwordKey hashes a password twice, in UTF-16.
func passwordKey(password string) ([32]byte, error) {
	var text []byte
	for _, u := range utf16.Encode([]rune(password)) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	once := sha256.Sum256(text)
	return sha256.Sum256(once[:]), nil
}

var errWrongKey = errors.New("the message authentication code is wrong")

// unwrap opens BDE "FVE AES-CCM encrypted key": a nonce of 12 bytes, a code of
// 16, and behind it, encrypted, the key in a container with its method.
func unwrap(key, wrapped []byte) (content []byte, method uint16, err error) {
	const nonce, tag, container = 12, 16, 12
	if len(wrapped) < nonce+tag+container {
		return nil, 0, errors.New("too short for a key")
	}
	plain, err := openCCM(key, wrapped[:nonce], wrapped[nonce:nonce+tag], wrapped[nonce+tag:])
	if err != nil {
		return nil, 0, err
	}
	size := int(binary.LittleEndian.Uint16(plain))
	if size < container || size > len(plain) {
		return nil, 0, fmt.Errorf("a key container of %d bytes", size)
	}
	return plain[container:size], binary.LittleEndian.Uint16(plain[8:]), nil
}

// openCCM is AES-CCM (RFC 3610) with a nonce of 12 bytes, so that a length has
// three, a code of 16 bytes and nothing that is not encrypted.
func openCCM(key, nonce, tag, sealed []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	counter := func(n int) (a [16]byte) {
		a[0] = 3 - 1
		copy(a[1:], nonce)
		a[13], a[14], a[15] = byte(n>>16), byte(n>>8), byte(n)
		block.Encrypt(a[:], a[:])
		return a
	}
	plain := bytes.Clone(sealed)
	for at := 0; at < len(plain); at += 16 {
		stream := counter(at/16 + 1)
		subtle.XORBytes(plain[at:], plain[at:], stream[:])
	}
	mac := [16]byte{(16-2)/2<<3 | 3 - 1}
	copy(mac[1:], nonce)
	mac[13], mac[14], mac[15] = byte(len(plain)>>16), byte(len(plain)>>8), byte(len(plain))
	block.Encrypt(mac[:], mac[:])
	for at := 0; at < len(plain); at += 16 {
		subtle.XORBytes(mac[:], mac[:], plain[at:]) // the last block is padded with zeros
		block.Encrypt(mac[:], mac[:])
	}
	zero := counter(0)
	subtle.XORBytes(mac[:], mac[:], zero[:])
	if subtle.ConstantTimeCompare(mac[:], tag) != 1 {
		return nil, errWrongKey
	}
	return plain, nil
}
