//! A certificate that nobody vouches for, for a first start without an authority.
//!
//! It is put together from `x509-cert`'s types and signed with ring, which are here for
//! other reasons; a library that makes certificates would be a third of the size of
//! our own TLS code. It is not an authority: a browser that trusts it trusts this host only.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use x509_cert::der::asn1::{BitString, GeneralizedTime, Ia5String, OctetString};
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::der::{Any, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate, Version};

use crate::base::secret::Secret;
use crate::base::time::Timestamp;

/// Before `now`, for clients whose clock is behind.
const SLACK: Duration = Duration::from_secs(86_400);
/// Nobody replaces the certificate of an appliance; what is compared is its fingerprint.
const LASTS: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Names in one certificate.
const MOST_NAMES: usize = 64;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// A certificate and its key, PEM.
#[derive(Debug)]
pub struct Made {
    pub certificate: String,
    pub key: Secret,
}

/// Makes a key and a certificate for `names`, host names and addresses.
///
/// # Errors
/// What could not be made.
pub fn make(names: &[String], now: Timestamp) -> Result<Made, String> {
    let failed = |what: &'static str| move |_: ring::error::Unspecified| format!("cannot make {what}");
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
    let document = document.map_err(failed("a key"))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random);
    let pair = pair.map_err(|error| format!("cannot read the key that was made: {error}"))?;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    let encoded = |error: x509_cert::der::Error| format!("cannot make a certificate: {error}");
    let inner = inner(pair.public_key().as_ref(), &serial, names, now).map_err(encoded)?;
    let signature = pair.sign(&random, &inner.to_der().map_err(encoded)?).map_err(failed("a signature"))?;
    let certificate = Certificate {
        signature_algorithm: inner.signature.clone(),
        tbs_certificate: inner,
        signature: BitString::from_bytes(signature.as_ref()).map_err(encoded)?,
    };
    let der = certificate.to_der().map_err(encoded)?;
    Ok(Made {
        certificate: pem("CERTIFICATE", &der),
        key: Secret::new(pem("PRIVATE KEY", document.as_ref())),
    })
}

/// What is signed.
fn inner(
    public: &[u8],
    serial: &[u8],
    names: &[String],
    now: Timestamp,
) -> Result<TbsCertificate, x509_cert::der::Error> {
    let name: Name = std::str::FromStr::from_str("CN=holdfast")?;
    let at = |time: Timestamp| {
        let since = Duration::from_millis(time.millis().max(0) as u64);
        let whole = Duration::from_secs(since.as_secs());
        GeneralizedTime::from_unix_duration(whole).map(Time::GeneralTime)
    };
    let curve = Any::encode_from(&P256)?;
    Ok(TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(serial)?,
        signature: AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None },
        issuer: name.clone(),
        validity: Validity { not_before: at(now.minus(SLACK))?, not_after: at(now.plus(LASTS))? },
        subject: name,
        subject_public_key_info: SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(curve) },
            subject_public_key: BitString::from_bytes(public)?,
        },
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(vec![
            extension(&BasicConstraints { ca: false, path_len_constraint: None }, true)?,
            extension(&ExtendedKeyUsage(vec![SERVER]), false)?,
            extension(&alternatives(names)?, false)?,
        ]),
    })
}

fn extension<T: AssociatedOid + Encode>(
    value: &T,
    critical: bool,
) -> Result<Extension, x509_cert::der::Error> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn alternatives(names: &[String]) -> Result<SubjectAltName, x509_cert::der::Error> {
    let name = |name: &String| match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => OctetString::new(ip.octets()).map(GeneralName::IpAddress),
        Ok(IpAddr::V6(ip)) => OctetString::new(ip.octets()).map(GeneralName::IpAddress),
        Err(_) => Ia5String::new(name).map(GeneralName::DnsName),
    };
    names.iter().take(MOST_NAMES).map(name).collect::<Result<_, _>>().map(SubjectAltName)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
