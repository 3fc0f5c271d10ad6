//! The program as a shell runs it, without a cluster: help, exit codes, completion.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::process::{Command, Output};

fn plugin(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-lexigram"))
        .args(arguments)
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .output()
        .unwrap()
}

fn said(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn the_help_explains_commands_and_exit_codes() {
    let (out, _, code) = said(&plugin(&["--help"]));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(out);
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_would_be_right() {
    let (_, err, code) = said(&plugin(&["status", "pods/a"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("'pods/a' is not KIND/NAME: kinds are ij (IngestionJob)"), "{err}");
}

#[test]
fn a_cluster_that_cannot_be_reached_is_1() {
    let (out, err, code) = said(&plugin(&["status"]));
    assert_eq!((out.as_str(), code), ("", Some(1)));
    assert!(err.starts_with("error: the kubeconfig cannot be used: "), "{err}");
}

#[test]
fn kubectl_is_answered_with_a_line_a_candidate() {
    let (out, _, code) = said(&plugin(&["__complete", "dead-letters", ""]));
    assert_eq!(code, Some(0));
    let values: Vec<_> = out.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert!(["list", "retry", "archive"].iter().all(|name| values.contains(name)), "{out}");
    assert_eq!(values.last(), Some(&":4"), "no files");

    let (out, _, _) = said(&plugin(&["__complete", "dead-letters", "retry", "ij/a", "--category", "Time"]));
    assert!(out.starts_with("Timeout"), "{out}");
}

#[test]
fn there_is_a_script_for_kubectl_and_for_every_shell() {
    let (out, _, code) = said(&plugin(&["completion", "kubectl"]));
    assert!(code == Some(0) && out.starts_with("#!/bin/sh\n") && out.contains("__complete \"$@\""), "{out}");
    for shell in ["bash", "fish", "zsh"] {
        let (out, _, code) = said(&plugin(&["completion", shell]));
        assert!(code == Some(0) && out.contains("dead-letters"), "{shell}: {out}");
    }
}

#[test]
fn the_krew_manifest_is_that_of_this_program() {
    let manifest: serde_json::Value = serde_saphyr::from_str(include_str!("../krew.yaml")).unwrap();
    assert_eq!(format!("kubectl-{}", manifest["metadata"]["name"].as_str().unwrap()), "kubectl-lexigram");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    for platform in platforms {
        let [system, processor] = ["os", "arch"].map(|key| platform["selector"]["matchLabels"][key].as_str().unwrap());
        let archive = format!("/v${{VERSION}}/kubectl-lexigram-{system}-{processor}.tar.gz");
        assert!(platform["uri"].as_str().unwrap().ends_with(&archive), "{platform}");
        let sum = format!("${{SHA256_{}_{}}}", system.to_uppercase(), processor.to_uppercase());
        assert_eq!((&platform["sha256"], &platform["bin"]), (&sum.into(), &"kubectl-lexigram".into()));
    }
    assert!(!platforms.is_empty());
}
