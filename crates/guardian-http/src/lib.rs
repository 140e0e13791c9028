#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client_addr;

pub use client_addr::{
    AddrSource, ClientAddr, ForwardHeader, RateKey, StopReason, TrustError, TrustedProxies, V6PrefixLen,
    V6PrefixLenError, WalkEnd,
};
