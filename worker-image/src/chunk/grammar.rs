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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use text_splitter::CodeSplitter;

    use super::*;

    #[rstest]
    #[case(CodeLanguage::C, "int one(void) {\n  return 1;\n}")]
    #[case(CodeLanguage::Go, "func One() int {\n\treturn 1\n}")]
    #[case(CodeLanguage::Java, "class One {\n  int one = 1;\n}")]
    #[case(CodeLanguage::JavaScript, "function one() {\n  return 1;\n}")]
    #[case(CodeLanguage::Python, "def one():\n    return 1")]
    #[case(CodeLanguage::Rust, "fn one() -> i32 {\n    1\n}")]
    #[case(CodeLanguage::Tsx, "const One = () => (\n  <b>1</b>\n);")]
    #[case(CodeLanguage::TypeScript, "function one(): number {\n  return 1;\n}")]
    fn a_definition_stays_whole(#[case] language: CodeLanguage, #[case] definition: &str) {
        let code = format!("{definition}\n\n{definition}\n");
        let splitter = CodeSplitter::new(of(language), definition.len() + 4).unwrap();
        let chunks: Vec<_> = splitter.chunks(&code).map(str::trim).collect();
        assert_eq!(chunks, [definition, definition]);
    }
}
