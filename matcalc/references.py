"""Where the rules come from: keys used in ``source`` attributes and docstrings."""

REFERENCES = {
    "MN19": "J. R. Magnus, H. Neudecker, Matrix Differential Calculus, 3rd ed., Wiley 2019",
    "MC12": "K. B. Petersen, M. S. Pedersen, The Matrix Cookbook, 2012",
    "MINKA": "T. P. Minka, Old and New Matrix Algebra Useful for Statistics, 2000",
    "GILES08": "M. B. Giles, Collected Matrix Derivative Results for Forward and Reverse Mode AD, 2008",
    "HIGHAM08": "N. J. Higham, Functions of Matrices: Theory and Computation, SIAM 2008",
    "GP73": "G. H. Golub, V. Pereyra, The Differentiation of Pseudo-Inverses, SIAM J. Numer. Anal. 10, 1973",
    "HJ94": "R. A. Horn, C. R. Johnson, Topics in Matrix Analysis, Cambridge 1994",
    "GBC16": "I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016",
    "DLMF": "NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov",
}
