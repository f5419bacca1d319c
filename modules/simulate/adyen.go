package simulate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const adyenMerchant = "ShopExampleECOM"

// adyenEvent returns the item of a step. Adyen has no event ids. A repeated delivery has
// a later eventDate, and so does a retry that Adyen makes much later.
func adyenEvent(l *life, i int, again bool) event {
	s := l.scenario.steps[i]
	at := l.at(s)
	if again {
		at = at.Add(2 * time.Minute)
	}
	psp, payment := adyenReference(l, s.fields["psp"]), adyenReference(l, "p")
	additional := object{}
	item := object{
		"additionalData": additional, "amount": object{"currency": s.fields["currency"], "value": l.units(s, "amount")},
		"eventCode": s.event, "eventDate": at.In(amsterdam).Format("2006-01-02T15:04:05-07:00"), "merchantAccountCode": adyenMerchant,
		"merchantReference": l.orderID, "paymentMethod": "visa", "pspReference": psp, "reason": s.fields["reason"],
		"success": s.field("success", "true"),
	}
	switch kind := s.fields["psp"][:1]; {
	case kind == "d":
		item["originalReference"] = payment
		adyenDispute(l, s, item, additional)
	case s.event == "AUTHORISATION":
		item["operations"] = []string{"CANCEL", "CAPTURE", "REFUND"}
		maps.Copy(additional, object{
			"authCode": l.ref("auth", digits, 6), "cardSummary": "1111", "cardHolderName": "J. Smith", "expiryDate": "3/2030", "issuerCountry": "NL",
			"shopperReference": "shopper-" + l.ref("shopper", digits, 8), "shopperEmail": "buyer@example.com", "shopperIP": "198.51.100.7",
			"paymentMethodVariant": "visastandarddebit", "recurringProcessingModel": "CardOnFile", "avsResult": "4 AVS not supported for this card type",
			"cvcResult": "1 Matches", "threeDAuthenticated": "true", "threeDOffered": "true", "liabilityShift": "true",
		})
		if item["reason"] == "" {
			item["reason"] = l.ref("auth", digits, 6) + ":1111:03/2030"
		}
	default:
		item["originalReference"] = payment
		additional["bookingDate"] = at.UTC().Format("2006-01-02T15:04:05Z")
	}
	return event{id: s.event + ":" + psp + ":" + item["success"].(string), kind: s.event, at: at, body: item}
}

// amsterdam is the zone of Adyen's times, in winter.
var amsterdam = time.FixedZone("CET", 60*60)

// adyenReference returns the reference of 16 characters of an operation of the life.
func adyenReference(l *life, operation string) string { return l.ref("psp "+operation, capitals, 16) }

func adyenDisputeID(l *life) string { return adyenReference(l, "d") }

// adyenDispute adds what an item about a dispute has.
func adyenDispute(l *life, s step, item, additional object) {
	item["reason"] = "Other Fraud-Card Absent Environment"
	switch s.event {
	case "NOTIFICATION_OF_FRAUD":
		additional["nofReasonCode"], additional["nofSchemeCode"] = "6", "visa"
	case "REQUEST_FOR_INFORMATION":
		additional["rfiReasonCode"], additional["rfiSchemeCode"] = "02", "visa"
	default:
		maps.Copy(additional, object{
			"arn": l.ref("arn", digits, 23), "autoDefended": "false", "chargebackReasonCode": " 10.4", "chargebackSchemeCode": "visa",
			"defendable": "true", "paymentMethodVariant": "visastandarddebit", "modificationMerchantReferences": "",
			"shopperReference": "shopper-" + l.ref("shopper", digits, 8),
		})
	}
	if status := s.fields["dispute"]; status != "" {
		additional["disputeStatus"] = status
	}
	if due, ok := l.due(s); ok {
		additional["defensePeriodEndsAt"] = due.In(amsterdam).Format("2006-01-02T15:04:05-07:00")
	}
}

// adyenRequest puts items into a notification. Each has a signature of its own, which
// covers eight of its members.
func adyenRequest(k *credentials, secret string, events []event, _ time.Time) (request, error) {
	key, err := hex.DecodeString(secret)
	if err != nil || len(key) == 0 {
		return request{}, errors.New("the secret of adyen is an HMAC key in hex: copy it from the Customer Area")
	}
	var items []object
	for _, e := range events {
		item := maps.Clone(e.body)
		additional := maps.Clone(item["additionalData"].(object))
		amount := item["amount"].(object)
		text := func(name string) string { value, _ := item[name].(string); return value }
		additional["hmacSignature"] = adyenSignature(key, text("pspReference"), text("originalReference"), text("merchantAccountCode"),
			text("merchantReference"), strconv.FormatInt(amount["value"].(int64), 10), amount["currency"].(string), text("eventCode"), text("success"))
		item["additionalData"] = additional
		items = append(items, object{"NotificationRequestItem": item})
	}
	header := make(http.Header)
	header.Set("User-Agent", "Adyen HttpClient 1.0")
	if k.BasicAuth != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(k.BasicAuth)))
	}
	return request{header: header, body: compact(object{"live": fmt.Sprint(k.live), "notificationItems": items})}, nil
}

// adyenSignature returns the HMAC-SHA256, in base64, of the values with colons between
// them. Colons in the values are not escaped.
func adyenSignature(key []byte, values ...string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join(values, ":"))) // a hash does not return errors
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
