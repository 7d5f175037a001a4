// Package wallet puts tickets into the wallets of phones: as a pass that Apple Wallet opens, and as a link that saves a ticket to
// Google Wallet. It knows no database and calls nobody: it signs what it is given, with certificates and keys that come from
// configuration. A wallet shows a ticket and nothing about its owner.
//
// What is in a wallet is told of changes where that is configured (package passes does it): Apple's passes then name a web service and carry
// a token for it, and keep their name, which has the epoch of their first saving; Google's class is one for an event and is patched. Where it
// is not, a pass stays as it was saved, a reissued ticket is another pass, since its epoch is part of the name, and the one before it shows
// a code that gates refuse.
//
// # Codes that change
//
// Google Wallet makes RFC 6238 codes by itself, and its pass carries the seed of the rotating part: see rotatingBarcode.
// A link carries the whole ticket, some 3,000 characters, so that nothing has to be told to Google before: it is for the redirect of a
// browser, not for a mail. Google shows a static barcode where it cannot show a rotating one, so none is given: gates would refuse it.
//
// Apple Wallet cannot. A pass has barcodes that stand still, or NFC, for which Apple certifies few; so the pass of an event whose
// codes change has no barcode, says so on its front, and links to the ticket's page, which shows the code. Without the address of that page
// there is no such pass (ErrUnavailable).
//
// # Apple's pass
//
// A .pkpass is a ZIP of pass.json, pictures, one pass.strings for each language, manifest.json with the SHA-1 of every other file, and
// signature: a detached PKCS #7 signature of the manifest with its time, by the certificate of the pass type, with the certificate of Apple's that
// issued it (WWDR). The same ticket in the same second gives the same bytes.
//
// Everything here may be used from many goroutines. Signing costs about a millisecond of a core; a Throttle bounds how much of it
// goes on at once.
package wallet
