//! Guardian's doors: tower layers and HTTP vocabulary for the Guardian suite
