package edge

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
)

// Names of the cookies; pass, session and order, which is the link to an unpaid one, are followed by the slug of the event.
const (
	cookieDevice  = "fg_device"
	cookiePass    = "fg_pass_"
	cookieSession = "fg_session_"
	cookieOrder   = "fg_order_"
	cookieAccount = "fg_account"
	cookieLang    = "fg_lang"
	cookieHost    = "__Host-"
)

// deviceSecretBytes is the size of a browser's secret.
const deviceSecretBytes = 32

// text is how binary values travel in cookies and JSON.
var text = base64.RawURLEncoding.Strict()

// cookieJar reads and writes the node's cookies.
type cookieJar struct {
	secure bool
	maxAge time.Duration
	device string // full names, prefix included
	// deviceIs is the device cookie's name with the equals sign, as it stands in a Cookie header.
	deviceIs []byte
	pass     string
	sess     string
	order    string
	acct     string
	clear    string
	lang     string
}

func newCookieJar(c CookieConfig) cookieJar {
	prefix := ""
	if c.Secure {
		prefix = cookieHost
	}
	return cookieJar{
		secure: c.Secure, maxAge: c.MaxAge, deviceIs: []byte(prefix + cookieDevice + "="),
		device: prefix + cookieDevice, pass: prefix + cookiePass, sess: prefix + cookieSession, order: prefix + cookieOrder, acct: prefix + cookieAccount, clear: prefix + cookieClear, lang: prefix + cookieLang,
	}
}

// set puts a cookie into the answer.
func (j *cookieJar) set(ctx *fasthttp.RequestCtx, name string, value []byte) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(name)
	c.SetValueBytes(value)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSecure(j.secure)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	c.SetMaxAge(int(j.maxAge / time.Second))
	ctx.Response.Header.SetCookie(c)
}

// drop tells the browser to forget a cookie.
func (j *cookieJar) drop(ctx *fasthttp.RequestCtx, name string) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(name)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSecure(j.secure)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	c.SetExpire(fasthttp.CookieExpireDelete)
	ctx.Response.Header.SetCookie(c)
}

// browser is what a request shows of the browser's identity.
type browser struct {
	secret [deviceSecretBytes]byte
	hash   lottery.DeviceHash
}

// browserOf reads the device cookie. A missing or unreadable one is no browser known to us.
func (j *cookieJar) browserOf(ctx *fasthttp.RequestCtx) (browser, bool) {
	var b browser
	value := ctx.Request.Header.Cookie(j.device)
	if len(value) != text.EncodedLen(deviceSecretBytes) {
		return b, false
	}
	if _, err := text.Decode(b.secret[:], value); err != nil {
		return b, false
	}
	b.hash = lottery.HashDevice(b.secret[:])
	return b, true
}

// newBrowser mints a device secret.
func newBrowser() browser {
	var b browser
	rand.Read(b.secret[:])
	b.hash = lottery.HashDevice(b.secret[:])
	return b
}

// decodeText decodes a base64 value of at most len(buf) bytes into buf.
func decodeText(buf, value []byte) ([]byte, bool) {
	if text.DecodedLen(len(value)) > len(buf) {
		return nil, false
	}
	n, err := text.Decode(buf, value)
	return buf[:n], err == nil
}
