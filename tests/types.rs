//! `memprof types` on programs whose containers are known, built in several ways.

mod built;
