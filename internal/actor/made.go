package actor

import "crypto/ed25519"

// FromSeed is the key of the person named actor that grows from a seed (RFC 8032,
// 5.1.5): for a lab that keeps one for a person who has none.
func FromSeed(seed [ed25519.SeedSize]byte, actor string) (Signer, error) {
	secret := ed25519.NewKeyFromSeed(seed[:])
	id, err := newIdentity(actor, secret.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &fileSigner{id, secret}, nil
}
