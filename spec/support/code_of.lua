--- The code of the error that a call gives beside nil; nil where it gives none.
return function(_, err)
  return err and err.code
end
