//! The grammars of programming languages. No I/O.

use tree_sitter_language::LanguageFn;

use crate::parse::CodeLanguage;

/// The grammar of a language.
pub(super) const fn of(language: CodeLanguage) -> LanguageFn {
    match language {
        CodeLanguage::C => tree_sitter_c::LANGUAGE,
        CodeLanguage::Go => tree_sitter_go::LANGUAGE,
        CodeLanguage::Java => tree_sitter_java::LANGUAGE,
        CodeLanguage::JavaScript => tree_sitter_javascript::LANGUAGE,
        CodeLanguage::Python => tree_sitter_python::LANGUAGE,
        CodeLanguage::Rust => tree_sitter_rust::LANGUAGE,
        CodeLanguage::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
        CodeLanguage::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
    }
}
